"""`midtrain questions`: a question set as Parquet, without a run."""

from pathlib import Path
from typing import Any

from rich.console import Console

from flows.cli.printing import explained
from tasks.errors import Permanent


def export_questions(values: dict[str, Any], out: Path, replace: bool, console: Console) -> int:
    """Read a question set into a Parquet file. Returns an exit code."""
    from tasks.questions.config import QuestionsConfig
    from tasks.questions.export import export

    def run() -> None:
        try:
            console.print(export(QuestionsConfig(**values), out, replace=replace))
        except OSError as error:
            raise Permanent(f"{error}; run again when that is mended") from error

    return explained(run, console)
