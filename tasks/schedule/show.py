"""A schedule as tables for a terminal."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from tasks.schedule.schema import SCHEDULE_FILE
from tasks.shared.next_token.method import TIERS
from tasks.shared.tables.parquet import read_rows

PER_TIER = 2
_SHOWN_CHARS = 48
_WIDTH = 78
_COLUMNS = ("step", "slot", "document_id", "position", "tier", "entropy", "budget", "prompt", "target", "continuation")

Row = Mapping[str, Any]


def show(summary: Mapping[str, Any], rows: Iterable[Row]) -> list[Table]:
    """Tables of a schedule: its tiers, its steps, what cannot be drawn, and the given rows.

    Args:
        summary: summary in the schedule's manifest.
        rows: rows of schedule.parquet, see `first_rows`.
    """
    tables = [_tiers(summary), _blocks(summary), _counts("Positions that cannot be drawn", summary["unusable"])]
    if summary["fallbacks"]:
        tables.append(_counts("Taken from another tier, since the drawn one was used up", summary["fallbacks"]))
    return [*tables, _rows(rows)]


def first_rows(folder: Path, per_tier: int = PER_TIER) -> list[Row]:
    """The first rows of each tier of a schedule's folder, easy ones first; reads no further than it has to."""
    rows_of_tier: dict[str, list[Row]] = {tier: [] for tier in TIERS}
    for row in read_rows(folder / SCHEDULE_FILE, _COLUMNS):
        if len(rows_of_tier[row["tier"]]) < per_tier:
            rows_of_tier[row["tier"]].append(row)
        elif all(len(rows) == per_tier for rows in rows_of_tier.values()):
            break
    return [row for rows in rows_of_tier.values() for row in rows]


def _tiers(summary: Mapping[str, Any]) -> Table:
    documents = summary["documents"]
    title = (
        f"{summary['steps']:,} steps of {summary['positions_per_step']:,} positions, from {documents['drawn']:,} of "
        f"{documents['read']:,} documents"
    )
    budgets = summary["budgets"]
    asked = ", ".join(f"{tokens} at {percent} %" for percent, tokens in budgets.items())
    caption = f"Tokens of reasoning asked for: {asked}" if budgets else "No budget is asked for"
    table = _table(title, ("tier",), ("from nats", "can be drawn", "drawn"), caption)
    for tier, counts in summary["tiers"].items():
        table.add_row(tier, f"{summary['thresholds'][tier]:g}", f"{counts['drawable']:,}", f"{counts['drawn']:,}")
    return table


def _blocks(summary: Mapping[str, Any]) -> Table:
    table = _table("Positions drawn, by steps", ("steps",), (*TIERS, "from another tier"))
    for block in summary["blocks"]:
        counts = (f"{block[name]:,}" for name in (*TIERS, "fallbacks"))
        table.add_row(f"{block['first_step']}-{block['last_step']}", *counts)
    return table


def _counts(title: str, counts: Mapping[str, int]) -> Table:
    table = _table(title, ("",), ("positions",))
    for name, count in counts.items():
        table.add_row(name.replace("_", " "), f"{count:,}")
    return table


def _rows(rows: Iterable[Row]) -> Table:
    table = _table("First positions of each tier", ("tier", "prompt ends", "target"), ("step", "nats", "budget"))
    for row in rows:
        cells = (_quoted(row["prompt"][-_SHOWN_CHARS:]), _quoted(row["target"]))
        numbers = (str(row["step"]), f"{row['entropy']:.2f}", str(row["budget"] or "-"))
        table.add_row(row["tier"], *cells, *numbers)
    return table


def _quoted(text: str) -> Text:
    """Text in quotes as it is, spaces visible, never read as markup."""
    return Text(repr(text))


def _table(title: str, names: Iterable[str], numbers: Iterable[str], caption: str = "") -> Table:
    # As wide as its title and caption, which would else be broken to the width of the numbers.
    width = min(max(len(title), len(caption)), _WIDTH)
    table = Table(
        title=title,
        title_justify="left",
        caption=caption or None,
        caption_justify="left",
        box=SIMPLE,
        min_width=width,
        pad_edge=False,
    )
    for name in names:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table
