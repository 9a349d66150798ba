"""What choosing among the samples of a question scores, by vote or by a reward model, beside single samples."""

from collections.abc import Sequence
from itertools import chain

from tasks.report.blocks import Block, Column, Paragraph, Table, estimate
from tasks.report.sections.scores import model_column
from tasks.report.summary import ReportSummary

TITLE = "Votes"
CHOSEN = ("maj@", "best@")
CAPTION = (
    "maj@k is how often the most frequent of k answers is right (arXiv 2203.11171), over drawn subsets of the samples. "
    "Equal answers are one vote however they are written, and equally frequent ones share the win; a sample without an "
    "answer casts none. best@k is how often the one of k samples that a reward model likes best is right (arXiv "
    "2110.14168), over all subsets; it is there where evaluate.reward_model names one."
)
SHOWN = 2
"""The two largest k of each kind, for which lines of text have room; a page has the others below the scores."""


def votes(summary: ReportSummary) -> list[Block]:
    """The tables below a title."""
    blocks = vote_tables(summary)
    return [Paragraph(TITLE, "title"), *blocks] if blocks else []


def vote_tables(summary: ReportSummary) -> list[Block]:
    """Single samples and votes of every model, a table for each benchmark with enough samples."""
    tables: list[Block] = []
    for benchmark in summary.benchmarks:
        rows = [row for row in summary.models if row.benchmark == benchmark]
        kinds = ([name for name in rows[0].metrics if name.startswith(kind)][-SHOWN:] for kind in CHOSEN)
        chosen = list(chain.from_iterable(kinds))
        names = ("pass@1", *chosen)
        columns = [Column(name, lambda row, name=name: estimate(row.metrics.get(name)), True) for name in names]
        title = f"{benchmark}: percent right by {_by(chosen)}, {summary.confidence:.0%} intervals over questions"
        if chosen:
            tables.append(Table.of(title, rows, [model_column(summary), *columns]))
    return [*tables, Paragraph(CAPTION, "caption")] if tables else []


def _by(metrics: Sequence[str]) -> str:
    """Ways of choosing, in words."""
    return "vote and by reward model" if any(name.startswith("best@") for name in metrics) else "vote"
