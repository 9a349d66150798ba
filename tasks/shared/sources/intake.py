"""Rows on their way from a source into a table: mapped one by one, counted, taken in a drawn order up to a limit."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from heapq import nsmallest
from typing import Any, ClassVar

import pyarrow as pa

from tasks.shared.sources.errors import Record, Reject
from tasks.shared.sources.rejects import FieldsSeen, RejectLog
from tasks.shared.tables.parquet import Row
from tasks.spine.store.fingerprint import digest_text


@dataclass
class Intake:
    """Counts of rows by what became of them, the rejects, and the field names that occur.

    A subclass adds a count for each fate of its own; `read` is the sum of the counts that `PARTS` names.
    """

    PARTS: ClassVar[tuple[str, ...]] = ("rejected", "beyond_limit")

    read: int = 0
    beyond_limit: int = 0
    rejects: RejectLog = field(default_factory=RejectLog)
    fields: FieldsSeen = field(default_factory=FieldsSeen)

    @property
    def rejected(self) -> int:
        """Number of rejects."""
        return len(self.rejects)

    @property
    def reasons(self) -> Counter[str]:
        """How often each reason for a reject occurs."""
        return self.rejects.reasons

    def mapped(
        self, items: Iterable[Record | Reject], to_row: Callable[[Record], Row | Reject], **more: Any
    ) -> Iterator[Row]:
        """Yield rows of a spool (see `spool_schema`), one for each record that `to_row` can use; note the others.

        Args:
            more: values of the spool's further columns, the same in every row.
        """
        for item in items:
            position, self.read = self.read, self.read + 1
            if isinstance(item, Record):
                self.fields.note(item.row)
                row = to_row(item)
                if not isinstance(row, Reject):
                    yield {**row, **more, "position": position, "file": item.file, "line": item.line}
                    continue
                item = row
            self.rejects.append(item)

    def ledger(self) -> dict[str, int]:
        """The counts by name; raises AssertionError where a row was lost or counted twice."""
        parts = {name: getattr(self, name) for name in self.PARTS}
        assert self.read == sum(parts.values()), f"{self.read} rows read, but {parts}"
        return {"read": self.read, **parts}


def spool_schema(table: pa.Schema, **more: pa.DataType) -> pa.Schema:
    """Columns of a table on disk between reading and writing: those of `table`, `more`, and where each row stood."""
    places = {**more, "position": pa.int64(), "file": pa.string(), "line": pa.int64()}
    for name, kind in places.items():
        table = table.append(pa.field(name, kind, nullable=False))
    return table


def drawn_place(seed: int, row_id: str) -> int:
    """Place of a row in the order drawn by a seed; the hexadecimal id at its end keeps it apart from all others."""
    return int(digest_text(f"{seed}:{row_id}")[:16] + row_id, 16)


def last_place(places: Iterable[int], count: int) -> int:
    """The last of the `count` smallest places, or -1 where there is none; holds `count` of them in memory."""
    return max(nsmallest(count, places), default=-1)
