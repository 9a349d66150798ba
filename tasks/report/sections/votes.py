"""What a vote among the samples of a question scores, beside single samples."""

from tasks.report.blocks import Block, Column, Paragraph, Table, estimate
from tasks.report.sections.scores import model_column
from tasks.report.summary import ReportSummary

TITLE = "Votes"
CAPTION = (
    "maj@k is how often the most frequent of k answers is right (arXiv 2203.11171), over drawn subsets of the samples. "
    "Equal answers are one vote however they are written, and equally frequent ones share the win; a sample without an "
    "answer casts none. Choosing by a scorer (best@k) is not shown, as no scorer judges these samples."
)
SHOWN = 2
"""The two largest k, for which lines of text have room; a page has the others below the scores."""


def votes(summary: ReportSummary) -> list[Block]:
    """The tables below a title."""
    blocks = vote_tables(summary)
    return [Paragraph(TITLE, "title"), *blocks] if blocks else []


def vote_tables(summary: ReportSummary) -> list[Block]:
    """Single samples and votes of every model, a table for each benchmark with enough samples."""
    tables: list[Block] = []
    for benchmark in summary.benchmarks:
        rows = [row for row in summary.models if row.benchmark == benchmark]
        voted = [name for name in rows[0].metrics if name.startswith("maj@")][-SHOWN:]
        names = ("pass@1", *voted)
        columns = [Column(name, lambda row, name=name: estimate(row.metrics.get(name)), True) for name in names]
        title = f"{benchmark}: percent right by vote, {summary.confidence:.0%} intervals over questions"
        if voted:
            tables.append(Table.of(title, rows, [model_column(summary), *columns]))
    return [*tables, Paragraph(CAPTION, "caption")] if tables else []
