"""The page: one HTML file that needs nothing else."""

from collections.abc import Iterator, Mapping, Sequence

from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.report.blocks import Block, Paragraph, Table
from tasks.report.ledger import words
from tasks.report.summary import ReportSummary


def render_page(summary: ReportSummary, sections: Mapping[str, Sequence[Block]]) -> str:
    """The whole report; everything but our own drawings is escaped."""
    environment = Environment(
        loader=PackageLoader("tasks.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"kind": lambda value: type(value).__name__, "words": words}
    shown = {name: list(_on_page(blocks)) for name, blocks in sections.items()}
    template = environment.get_template("page.html.jinja")
    sections = {name: blocks for name, blocks in shown.items() if blocks}
    about = {"title": summary.title, "facts": _facts(summary), "command": summary.command}
    return template.render(**about, contents=_contents(sections), sections=sections).lstrip()


def _contents(sections: Mapping[str, Sequence[Block]]) -> dict[str, str]:
    """Titles of the sections, by the name that links lead to; a section without one goes by its name."""
    titles = {
        name: [block.text for block in blocks if isinstance(block, Paragraph) and block.style == "title"]
        for name, blocks in sections.items()
    }
    return {name: several[0] if several else name.capitalize() for name, several in titles.items()}


def _on_page(blocks: Sequence[Block]) -> Iterator[Block]:
    for block in blocks:
        if not isinstance(block, Table):
            yield block
        elif "page" in block.media:
            yield block.on("page")


def _facts(summary: ReportSummary) -> dict[str, str]:
    """What stands below the title; only what there is."""
    commit = summary.commits[0] if len(summary.commits) == 1 else ""
    changed = "+changes" if commit.endswith("+changes") else ""
    measured = (
        {"Held-out documents": f"{summary.predictions.documents:,}"}
        if summary.predictions
        else {"Benchmarks": ", ".join(summary.benchmarks)}
    )
    facts = {
        "Base model": summary.base_model,
        "Recipe": summary.recipe,
        **measured,
        "Finished": summary.finished[:16].replace("T", " "),
        "Commit": f"{commit[:10]}{changed}",
    }
    return {name: text for name, text in facts.items() if text}
