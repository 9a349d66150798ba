"""Tables for a terminal. Text of users and models is never read as rich's markup."""

from collections.abc import Iterable

from rich import box
from rich import table as rich
from rich.console import Group
from rich.text import Text

from tasks.report.blocks import Cell, Estimate, Judgement, Table

COLOURS = {"better": "green", "worse": "red", "unclear": "yellow"}


def terminal_tables(tables: Iterable[Table]) -> list[Group]:
    """The tables that a terminal shows; plain ones that fit 80 columns."""
    return [_table(table.on("terminal")) for table in tables if "terminal" in table.media]


def _table(table: Table) -> Group:
    """Lines above the table are none of its own, which would be as narrow as it is."""
    above = [Text(table.title, "table.title"), *([Text(table.note, "dim")] if table.note else [])]
    shown = rich.Table(box=box.SIMPLE, pad_edge=False, padding=(0, 1))
    for column in table.columns:
        justify = "right" if column.number else "left"
        shown.add_column(Text(column.heading), justify=justify, no_wrap=column.number)
    for row in table.rows:
        shown.add_row(*map(_cell, row))
    return Group(*above, shown)


def _cell(cell: Cell) -> Text:
    match cell:
        case None:
            return Text("-")
        case Estimate():
            return Text.assemble((f"{cell.mean:>5}", "bold"), (f" [{cell.low}, {cell.high}]", "dim"))
        case Judgement():
            return Text(cell.text, COLOURS[cell.tone])
        case _:
            return Text(str(cell))
