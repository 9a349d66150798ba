"""Rejected rows: kept aside, the table that lists them, and the error when there are too many."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, astuple
from itertools import islice
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import MappingProxyType
from typing import Any

import pyarrow as pa

from tasks.errors import did_you_mean
from tasks.shared.sources.errors import Reject, SourceError, excerpt
from tasks.shared.sources.paths import MissingField
from tasks.shared.tables.parquet import required_columns, write_parquet
from tasks.shared.tables.sorting import sort_rows

REJECTS_FILE = "rejects.parquet"
REJECTS = required_columns(file=pa.string(), line=pa.int64(), field=pa.string(), value=pa.string(), reason=pa.string())
"""`line` counts from 1 (rows for Parquet and hub sources); `value` is an excerpt."""


class FieldsSeen:
    """The field names that occur, for the message about one that never does."""

    _MOST = 100

    def __init__(self) -> None:
        self.names: dict[str, None] = {}

    def note(self, row: Mapping[str, Any]) -> None:
        """Take in the names of one row, as they can be printed."""
        if len(self.names) < self._MOST:
            self.names.update(dict.fromkeys(map(excerpt, islice(row, self._MOST))))


class RejectLog:
    """Rejects in order of arrival; counted in memory, and on disk themselves once they are many."""

    _IN_MEMORY_BYTES = 2**24
    _MOST_REASONS = 10_000
    FURTHER = "other reasons"

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=self._IN_MEMORY_BYTES)
        self._count = 0
        self.reasons: Counter[str] = Counter()
        """How often each reason occurs, with the field it is about."""
        self.missing: Counter[str] = Counter()
        """How often each field is missing."""

    def append(self, reject: Reject) -> None:
        """Take in one reject."""
        self._file.write(json.dumps(astuple(reject)).encode() + b"\n")
        self._count += 1
        reason = _worded(reject)
        self.reasons[reason if reason in self.reasons or len(self.reasons) < self._MOST_REASONS else self.FURTHER] += 1
        if reject.reason == MissingField.REASON:
            self.missing[reject.field] += 1

    def extend(self, rejects: Iterable[Reject]) -> None:
        """Take in several."""
        for reject in rejects:
            self.append(reject)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Reject]:
        self._file.seek(0)
        for line in self._file:
            yield Reject(*json.loads(line))
        self._file.seek(0, 2)

    def first(self, count: int) -> list[Reject]:
        """The first rejects, or all where there are fewer."""
        found = list(islice(self, count))
        self._file.seek(0, 2)
        return found


def write_rejects(rejects: Iterable[Reject], path: Path) -> int:
    """Write the table of rejects in order of file and line; returns how many there are."""
    ordered = sort_rows(map(asdict, rejects), REJECTS, lambda row: (row["file"], row["line"]), path.parent)
    return write_parquet(ordered, path, REJECTS)


def reasons_of(rejects: Iterable[Reject]) -> Counter[str]:
    """How often each reason occurs, with the field it is about."""
    return Counter(map(_worded, rejects))


def check_share(
    rejects: RejectLog,
    *,
    source: str,
    read: int,
    kept: int,
    most: float,
    fields: FieldsSeen,
    paths: Mapping[str, Sequence[str]],
    synonyms: Mapping[str, Sequence[str]] = MappingProxyType({}),
    otherwise: str,
) -> None:
    """Raise `SourceError` where no row was read or kept, or more than the share `most` was rejected.

    Args:
        source, read, kept: address of the source, and how many of its rows there are and are left.
        fields: the names that occur in its rows.
        paths: setting to the paths that it names; where no row has one of them, the error is about that setting.
        synonyms: other names for what a setting names, the likeliest first; one that the rows have is proposed.
        otherwise: begins the advice that ends with the setting's name.
    """
    if not read:
        raise SourceError(f"source: {source!r} holds no rows")
    if len(rejects) <= most * read and kept:
        return
    for setting, path in ((setting, path) for setting, named in paths.items() for path in named):
        if sum(count for field, count in rejects.missing.items() if _leads_to(field, path)) == read:
            meant = next((name for name in synonyms.get(setting, ()) if name in fields.names), "")
            near = f"; did you mean {meant!r}?" if meant else did_you_mean(path, fields.names) or "."
            raise SourceError(
                f"{setting}: no row of {source!r} has {path!r}{near} "
                f"The rows have: {', '.join(fields.names)}. {otherwise} {setting} as one of these"
            )
    examples = "; ".join(
        f"{reject.file} line {reject.line}: {reject.field} {reject.reason} ({reject.value})".replace(":  ", ": ", 1)
        for reject in rejects.first(3)
    )
    reasons = ", ".join(f"{count} x {reason}" for reason, count in rejects.reasons.most_common(5))
    raise SourceError(
        f"{len(rejects)} of {read} rows of {source!r} were rejected and {kept} kept; "
        f"max_rejected_share is {most} ({reasons}). First: {examples}. "
        "Mend the rows or the mapping, or raise the share"
    )


def _worded(reject: Reject) -> str:
    return f"{reject.field}: {reject.reason}" if reject.field else reject.reason


def _leads_to(field: str, path: str) -> bool:
    """Whether `field` is `path`, or the step of it that could not be followed."""
    return path == field or path.startswith((f"{field}.", f"{field}["))
