"""Markdown, as GitHub, Prefect and MLflow show it. Text of users and models is never read as markup."""

import re
from collections.abc import Iterable

from tasks.report.blocks import Block, Cell, Estimate, Judgement, Paragraph, Table
from tasks.text import in_markdown, markdown_line


def document(title: str, blocks: Iterable[Block]) -> str:
    """A heading and what Markdown shows of a report's sections."""
    text = "\n\n".join([f"# {markdown_line(title)}", *(text for block in blocks if (text := _block(block)))])
    # Items of one list stand together.
    return re.sub(r"(?m)^(- .*)\n\n(?=- )", r"\1\n", text) + "\n"


def markdown_table(table: Table) -> str:
    """A table without its title."""
    names = " | ".join(in_markdown(column.heading) for column in table.columns)
    rule = "|".join("---:" if column.number else "---" for column in table.columns)
    rows = (" | ".join(map(_cell, row)) for row in table.rows)
    return "\n".join([f"| {names} |", f"|{rule}|", *(f"| {row} |" for row in rows)])


def _block(block: Block) -> str:
    match block:
        case Table() if "markdown" in block.media:
            lines = [f"### {markdown_line(block.title)}", *([markdown_line(block.note)] if block.note else [])]
            return "\n\n".join([*lines, markdown_table(block.on("markdown"))])
        case Paragraph(style="note"):
            return f"> {markdown_line(block.text)}"
        case Paragraph(style="finding"):
            return f"- {markdown_line(f'{block.lead} {block.text}'.strip())}"
        case Paragraph(style="paragraph"):
            return markdown_line(block.text)
        case Paragraph(style="care"):
            return "\n".join(
                [f"**{in_markdown(block.lead)}**", "", *(f"- {markdown_line(item)}" for item in block.items)]
            )
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
            return in_markdown(str(cell))
