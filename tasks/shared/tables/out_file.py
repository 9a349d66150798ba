"""A Parquet file that a user asks for: its place is looked at before the work, what it would replace is named."""

import re
import tempfile
from pathlib import Path

from tasks.errors import Permanent
from tasks.shared.tables.parquet import ParquetError, count_rows


def check_place(out: Path) -> None:
    """Refuse a place where no such file can be written; makes the folder that it is to lie in.

    Raises:
        Permanent: it is an address, a folder or of another ending, or nobody may write there.
    """
    if re.match(r"\w+:/", str(out)):
        raise Permanent(f"out: {out} is an address, and only files of this machine are written; give a path")
    if out.is_dir():
        raise Permanent(f"out: {out} is a folder; give a file, such as {out / 'rows.parquet'}")
    if out.suffix != ".parquet":
        raise Permanent(f"out: {out.name} would hold Parquet; call it {out.with_suffix('.parquet').name}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out.parent):
            pass
    except OSError as error:
        raise Permanent(
            f"out: no file can be written in {out.parent} ({error.strerror}); give another place, or get the right to "
            "write"
        ) from error


def content(path: Path) -> str:
    """How much a file holds, in words."""
    try:
        rows = count_rows(path)
        return f"{rows:,} row{'' if rows == 1 else 's'}"
    except ParquetError:
        return f"{path.stat().st_size:,} bytes, no Parquet file"
