"""Markdown, as GitHub, Prefect and MLflow show it. Text of users and models is never read as markup."""

import re
from collections.abc import Iterable

from tasks.report.blocks import Block, Cell, Estimate, Judgement, Paragraph, Table

MARKUP = re.compile(r"[\\`*_|~$]|](?=[(\[:])|<(?=[A-Za-z/!?])|&(?=[A-Za-z#])")
STARTS = re.compile(r"^(\d*)([-+.)](?=\s|$)|[#>\[])")
"""What would begin a list, a heading, a quotation or a box to tick."""


def document(title: str, blocks: Iterable[Block]) -> str:
    """A heading and what Markdown shows of a report's sections."""
    text = "\n\n".join([f"# {_line(title)}", *(text for block in blocks if (text := _block(block)))])
    # Items of one list stand together.
    return re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", text) + "\n"


def markdown_table(table: Table) -> str:
    """A table without its title."""
    names = " | ".join(escaped(column.heading) for column in table.columns)
    rule = "|".join("---:" if column.number else "---" for column in table.columns)
    rows = (" | ".join(map(_cell, row)) for row in table.rows)
    return "\n".join([f"| {names} |", f"|{rule}|", *(f"| {row} |" for row in rows)])


def escaped(text: str) -> str:
    """Text that shows as it is, within a line."""
    return MARKUP.sub(r"\\\g<0>", " ".join(text.split()))


def _line(text: str) -> str:
    return STARTS.sub(r"\1\\\2", escaped(text))


def _block(block: Block) -> str:
    match block:
        case Table() if "markdown" in block.media:
            lines = [f"### {_line(block.title)}", *([_line(block.note)] if block.note else [])]
            return "\n\n".join([*lines, markdown_table(block.on("markdown"))])
        case Paragraph(style="note"):
            return f"> {_line(block.text)}"
        case Paragraph(style="finding"):
            return f"- {_line(f'{block.lead} {block.text}'.strip())}"
        case Paragraph(style="paragraph"):
            return _line(block.text)
        case Paragraph(style="care"):
            return "\n".join([f"**{escaped(block.lead)}**", "", *(f"- {_line(item)}" for item in block.items)])
        case _:
            return ""


def _cell(cell: Cell) -> str:
    match cell:
        case None:
            return "-"
        case Estimate():
            return f"**{cell.mean}** [{cell.low}, {cell.high}]"
        case Judgement(loud=True):
            return f"**{cell.text}**"
        case _:
            return escaped(str(cell))
