"""Differences of paired comparisons as tables; draws nothing, so that `midtrain gate` needs no plotting."""

import math
from collections.abc import Callable, Sequence

from tasks.report.blocks import PAGE, Block, Column, Judgement, Paragraph, Strip, Table
from tasks.report.rows import MINUS, ONE_TRAINING, ComparisonRow, p_text, percent, points


def optional(value: float | None, text: Callable[[float], str] = percent) -> str | None:
    """A number as text, where there is one."""
    return None if value is None else text(value)


def tone_of(row: ComparisonRow) -> str:
    """How a comparison is coloured: one training is as open as an interval that holds 0."""
    return "unclear" if row.verdict == ONE_TRAINING else row.verdict


def _bare(p_value: float) -> str:
    return p_text(p_value).removeprefix("p ").removeprefix("= ")


def compared(rows: Sequence[ComparisonRow], same: str, what: str) -> list[Block]:
    """A table for each pair of labels; `same` says what both met, `what` names the first column."""
    blocks: list[Block] = []
    for table in difference_tables(rows, same, what):
        names = table.constants
        blocks += [Paragraph(f"{names['candidate']} {MINUS} {names['baseline']}", "heading"), table]
    return blocks


def difference_tables(
    rows: Sequence[ComparisonRow],
    same: str = "on the same questions or positions",
    what: str = "benchmark",
    lost: Sequence[ComparisonRow] = (),
) -> list[Table]:
    """Differences of each pair of labels, on one axis; rows that were lost are called regressions."""
    widest = max((max(abs(row.low), abs(row.high)) for row in rows), default=0.0)
    # A multiple of 5 points on either side that holds every interval.
    reach = max(1, math.ceil(widest * 20)) / 20

    def verdict(row: ComparisonRow) -> Judgement:
        if row in lost:
            return Judgement("regression", "worse", loud=True)
        return Judgement("no significant difference" if row.verdict == "unclear" else row.verdict, tone_of(row))

    def strip(row: ComparisonRow) -> Strip:
        return Strip(*(50 + 50 * value / reach for value in (row.low, row.difference, row.high)), tone=tone_of(row))

    corrected = any(row.adjusted_p is not None for row in rows)
    columns = [
        Column("on", lambda row: row.benchmark, title=what),
        Column("metric", lambda row: row.metric),
        Column("difference", lambda row: points(row.difference), True, title="points"),
        Column("axis", strip, media=PAGE, axis=(f"{MINUS}{100 * reach:.0f}", "0", f"+{100 * reach:.0f}")),
        Column("interval", lambda row: f"[{points(row.low)}, {points(row.high)}]", True),
        Column("p", lambda row: _bare(row.p_value), True),
        *([Column("Holm", lambda row: optional(row.adjusted_p, _bare), True)] if corrected else []),
        Column("detectable", lambda row: optional(row.minimum_detectable), True, PAGE),
        Column("verdict", verdict, title=""),
    ]
    tables = []
    for baseline, candidate in dict.fromkeys((row.baseline, row.candidate) for row in rows):
        mine = [row for row in rows if (row.baseline, row.candidate) == (baseline, candidate)]
        title = f"{candidate} - {baseline}, {same}, in percentage points"
        group = ("differences", "Candidate minus baseline on the same questions or positions, in percentage points")
        constants = {"candidate": candidate, "baseline": baseline}
        tables.append(Table.of(title, mine, columns, look="differences", group=group, constants=constants))
    return tables
