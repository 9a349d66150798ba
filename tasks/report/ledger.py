"""Ledgers as tables that visibly add up: which counts are parts of which total."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Balance:
    """A total and the parts that it fell into."""

    total: tuple[str, int]
    parts: tuple[tuple[str, int], ...]
    """Sum to the total exactly; none for a count that stands alone."""

    def __str__(self) -> str:
        """`400 read = 398 kept + 2 merged`; parts of nothing are left out."""
        (name, total), parts = self.total, [part for part in self.parts if part[1]]
        head = f"{total:,} {words(name)}"
        return f"{head} = {' + '.join(f'{count:,} {words(part)}' for part, count in parts)}" if parts else head


def words(name: str) -> str:
    """The name of a count as people read it."""
    return name.replace("_", " ")


def balances(ledger: Mapping[str, int]) -> list[Balance]:
    """Group a flat ledger, in its own order, into totals and parts.

    Stages write a total first and its parts after it; the last part may in turn be the total of what follows, as in
    generated = wrong + correct, correct = dropped + kept. A count whose parts are not found stands alone.
    """
    items = list(ledger.items())
    groups, start = [], 0
    while start < len(items):
        end = _end_of_parts(items, start)
        groups.append(Balance(items[start], tuple(items[start + 1 : end])))
        cascades = end > start + 1 and _end_of_parts(items, end - 1) > end
        start = end - 1 if cascades else end
    return groups


def _end_of_parts(items: list[tuple[str, int]], start: int) -> int:
    """Where the parts of a total end: at least two that sum to it, and the zeros after them that belong to nothing."""
    total, running = items[start][1], 0
    for index in range(start + 1, len(items)):
        running += items[index][1]
        if running > total:
            break
        if running == total and index > start + 1:
            end = index + 1
            if not items[index][1] or _end_of_parts(items, index) == end:
                while end < len(items) and not items[end][1]:
                    end += 1
            return end
    return start + 1
