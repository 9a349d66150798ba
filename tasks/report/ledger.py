"""Ledgers as tables that visibly add up: which counts are parts of which total."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Balance:
    """A total and the parts that it fell into."""

    total: tuple[str, int]
    parts: tuple[tuple[str, int], ...]
    """Sum to the total exactly; none for a count that stands alone."""


def balances(ledger: Mapping[str, int]) -> list[Balance]:
    """Group a flat ledger, in its own order, into totals and parts.

    Stages write a total first and its parts after it. The parts of a total are the longest run of counts after it that
    sums to it exactly; a count without such a run stands alone.
    """
    items = list(ledger.items())
    groups, start = [], 0
    while start < len(items):
        end = _end_of_parts(items, start)
        groups.append(Balance(items[start], tuple(items[start + 1 : end])))
        start = end
    return groups


def _end_of_parts(items: list[tuple[str, int]], start: int) -> int:
    total, running, end = items[start][1], 0, start + 1
    for index in range(start + 1, len(items)):
        running += items[index][1]
        if running > total:
            break
        if running == total and index > start + 1:
            end = index + 1
    return end
