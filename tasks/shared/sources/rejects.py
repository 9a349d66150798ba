"""Rejected rows: the table that lists them, and the error when there are too many."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.errors import did_you_mean
from tasks.shared.sources.errors import Reject, SourceError
from tasks.shared.sources.paths import MissingField
from tasks.shared.tables.parquet import required_columns, write_parquet

REJECTS_FILE = "rejects.parquet"
REJECTS = required_columns(file=pa.string(), line=pa.int64(), field=pa.string(), value=pa.string(), reason=pa.string())
"""`line` counts from 1 (rows for Parquet and hub sources); `value` is an excerpt."""


class FieldsSeen:
    """The field names that occur, for the message about one that never does."""

    _MOST = 1_000

    def __init__(self) -> None:
        self.names: dict[str, None] = {}

    def note(self, row: Mapping[str, Any]) -> None:
        """Take in the names of one row."""
        if len(self.names) < self._MOST:
            self.names.update(dict.fromkeys(row))


def write_rejects(rejects: Iterable[Reject], path: Path) -> int:
    """Write the table of rejects in order of file and line; returns how many there are."""
    ordered = sorted(rejects, key=lambda reject: (reject.file, reject.line))
    return write_parquet(map(asdict, ordered), path, REJECTS)


def reasons_of(rejects: Iterable[Reject]) -> Counter[str]:
    """How often each reason occurs, with the field it is about."""
    return Counter(f"{reject.field}: {reject.reason}" if reject.field else reject.reason for reject in rejects)


def check_share(
    rejects: Sequence[Reject],
    *,
    source: str,
    read: int,
    kept: int,
    most: float,
    fields: FieldsSeen,
    paths: Mapping[str, Sequence[str]],
    otherwise: str,
) -> None:
    """Raise `SourceError` where no row was read or kept, or more than the share `most` was rejected.

    Args:
        source, read, kept: address of the source, and how many of its rows there are and are left.
        fields: the names that occur in its rows.
        paths: setting to the paths that it names; where no row has one of them, the error is about that setting.
        otherwise: begins the advice that ends with the setting's name.
    """
    if not read:
        raise SourceError(f"source: {source!r} holds no rows")
    if len(rejects) <= most * read and kept:
        return
    for setting, path in ((setting, path) for setting, named in paths.items() for path in named):
        if sum(_is_missing(reject, path) for reject in rejects) == read:
            raise SourceError(
                f"{setting}: no row of {source!r} has {path!r}{did_you_mean(path, fields.names)} "
                f"The rows have: {', '.join(fields.names)}. {otherwise} {setting} as one of these"
            )
    examples = "; ".join(
        f"{reject.file} line {reject.line}: {reject.field} {reject.reason} ({reject.value})" for reject in rejects[:3]
    )
    reasons = ", ".join(f"{count} x {reason}" for reason, count in reasons_of(rejects).most_common(5))
    raise SourceError(
        f"{len(rejects)} of {read} rows of {source!r} were rejected and {kept} kept; "
        f"max_rejected_share is {most} ({reasons}). First: {examples}. "
        "Mend the rows or the mapping, or raise the share"
    )


def _is_missing(reject: Reject, path: str) -> bool:
    return reject.reason == MissingField.REASON and (
        path == reject.field or path.startswith((f"{reject.field}.", f"{reject.field}["))
    )
