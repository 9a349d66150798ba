"""A question set as a Parquet file of one's own, with what was rejected beside it."""

import tempfile
from pathlib import Path

from tasks.questions.config import QuestionsConfig
from tasks.questions.load import build_questions
from tasks.questions.schema import QUESTIONS_FILE
from tasks.questions.sources import resolve, source_files
from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.rejects import REJECTS_FILE
from tasks.shared.tables.out_file import check_place, content


def export(config: QuestionsConfig, out: Path, *, replace: bool = False) -> dict[str, int]:
    """Write a question set to the Parquet file `out` and its rejects to `<name>.rejects.parquet`; returns the ledger.

    Args:
        replace: write over files of these names.

    Raises:
        SourceError: as `build_questions`, or because `out` is read by the source, or is there already; then neither
            file is written.
        Permanent: `out` cannot be written.
    """
    rejects = out.with_suffix(".rejects.parquet")
    check_place(out)
    _check_not_source(config, out, rejects)
    if not replace:
        _check_free(out, rejects)
    config = resolve(config)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-") as folder:
        intake = build_questions(config, Path(folder), Path(folder))
        (Path(folder) / REJECTS_FILE).replace(rejects)
        (Path(folder) / QUESTIONS_FILE).replace(out)
    return intake.ledger()


def _check_not_source(config: QuestionsConfig, *written: Path) -> None:
    files = source_files(config)
    for path in written:
        if files is not None and files.holds(path):
            raise SourceError(f"out: {path} is or would be part of the source {config.source!r}; write it elsewhere")


def _check_free(*written: Path) -> None:
    if there := [f"{path} ({content(path)})" for path in written if path.exists()]:
        raise SourceError(f"out: this would replace {' and '.join(there)}; give --replace, or another name")
