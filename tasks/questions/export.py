"""A question set as a Parquet file of one's own, with what was rejected beside it."""

import os
import re
import tempfile
from pathlib import Path

from tasks.questions.config import QuestionsConfig
from tasks.questions.load import build_questions
from tasks.questions.schema import QUESTIONS_FILE
from tasks.questions.sources import resolve, source_files
from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.rejects import REJECTS_FILE
from tasks.shared.tables.parquet import ParquetError, count_rows


def export(config: QuestionsConfig, out: Path, *, replace: bool = False) -> dict[str, int]:
    """Write a question set to the Parquet file `out` and its rejects to `<name>.rejects.parquet`; returns the ledger.

    Args:
        replace: write over files of these names.

    Raises:
        SourceError: as `build_questions`, or because `out` cannot be written, is read by the source, or is there
            already; then neither file is written.
    """
    rejects = out.with_suffix(".rejects.parquet")
    _check_place(out)
    _check_not_source(config, out, rejects)
    if not replace:
        _check_free(out, rejects)
    config = resolve(config)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-") as folder:
        intake = build_questions(config, Path(folder), Path(folder))
        (Path(folder) / REJECTS_FILE).replace(rejects)
        (Path(folder) / QUESTIONS_FILE).replace(out)
    return intake.ledger()


def _check_place(out: Path) -> None:
    if re.match(r"\w+:/", str(out)):
        raise SourceError(f"out: {out} is an address, and only files of this machine are written; give a path")
    if out.is_dir():
        raise SourceError(f"out: {out} is a folder; give a file, such as {out / 'questions.parquet'}")
    if out.suffix != ".parquet":
        raise SourceError(f"out: {out.name} would hold Parquet; call it {out.with_suffix('.parquet').name}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SourceError(f"out: no file can be written in {out.parent} ({error.strerror})") from error
    if not os.access(out.parent, os.W_OK):
        raise SourceError(f"out: no file can be written in {out.parent}; give another place, or get the right to write")


def _check_not_source(config: QuestionsConfig, *written: Path) -> None:
    files = source_files(config)
    for path in written:
        if files is not None and files.holds(path):
            raise SourceError(f"out: {path} is or would be part of the source {config.source!r}; write it elsewhere")


def _check_free(*written: Path) -> None:
    if there := [f"{path} ({_content(path)})" for path in written if path.exists()]:
        raise SourceError(f"out: this would replace {' and '.join(there)}; give --replace, or another name")


def _content(path: Path) -> str:
    try:
        rows = count_rows(path)
        return f"{rows:,} row{'' if rows == 1 else 's'}"
    except ParquetError:
        return f"{path.stat().st_size:,} bytes, no Parquet file"
