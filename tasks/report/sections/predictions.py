"""Sections on next-token prediction: accuracy by tier, comparisons at the same positions, benchmarks afterwards."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from tasks.report.blocks import PAGE, TEXT, Block, Column, Medium, Name, Paragraph, Table, estimate
from tasks.report.numbers import paper
from tasks.report.rows import Metric, PredictionRow, asked_of, percent
from tasks.report.sections.bars import accuracy_bars
from tasks.report.sections.curves import pass_curves
from tasks.report.sections.differences import compared, optional
from tasks.report.sections.scores import SPREAD_CAPTION, model_column, most_seeds, scores
from tasks.report.sections.votes import vote_tables
from tasks.report.summary import PredictionSummary, ReportSummary

LOST = (
    Column("none", lambda row: percent(row.no_prediction_share), True),
    Column("cut", lambda row: percent(row.truncated_share), True),
)
ACCURACY_CAPTION = (
    "A prediction is right when it is the true next token, spaces included. Tiers go by the base model's entropy; "
    "their mean counts each the same. “length” is the mean number of tokens between the think tags, “budget” what the "
    "prompt asked for, “none” the percentage of completions that name no token, “cut” of those that ran into the token "
    "limit; both count as wrong."
)
PREFIX_RULE = Name(
    "With reasoning, by the prefix rule",
    after="Also right: a prediction of several tokens that the text goes on with, ending where a token ends "
    "(arXiv 2506.08007).",
)
POSITIONS_CAPTION = (
    "Percentage points, with reasoning unless said otherwise. Both models predict the same tokens; the interval is a "
    "bootstrap over documents, p is a test that flips the sign of whole documents, “detectable” the smallest true "
    "difference that so many documents would show with 80% power. Of several trainings, all three hold the luck of "
    "training too; one training orders nothing. Rows are tested one by one: with many of them, expect one in twenty to "
    "look significant by luck."
)
AFTERWARDS_CAPTION = (
    "Percentage points. Each question is answered by both models; intervals and tests are over questions."
)


def predictions_of(summary: ReportSummary) -> PredictionSummary:
    """The numbers that these sections are about.

    Raises:
        ValueError: a report of evaluations alone.
    """
    if summary.predictions is None:
        raise ValueError(f"{summary.title}: nothing was predicted")
    return summary.predictions


def accuracy(summary: ReportSummary) -> list[Block]:
    """Accuracy of every model by tier, with and without reasoning, beside the paper's."""
    predictions = predictions_of(summary)
    samples, several = predictions.samples, most_seeds(predictions.rows) > 1
    positions = ", ".join(f"{count:,} {tier}" for tier, count in predictions.positions.items())
    about = (
        f"Percent of {positions} tokens of {predictions.documents:,} held-out documents, the same for all; "
        f"{summary.confidence:.0%} intervals are over documents{', means over the listed seeds' if several else ''}."
    )
    title = "Without reasoning: the likeliest next token, percent"
    direct = [model_column(summary), *_parts(predictions, lambda row: row.direct)]
    prefix = [model_column(summary), *_parts(predictions, lambda row: row.prefix)]
    return [
        Paragraph("Next-token accuracy", "title"),
        Paragraph(about, "sub"),
        Paragraph(f"With reasoning, {samples} sample{'s' if samples > 1 else ''} a token", "heading"),
        _reasoning(summary, predictions),
        _lost(predictions),
        _paper(PAGE),
        Paragraph(ACCURACY_CAPTION + (SPREAD_CAPTION if several else ""), "caption"),
        Paragraph("Without reasoning", "heading"),
        Table.of(title, predictions.rows, direct, group=_group(summary), constants={"predicted": "without"}),
        Paragraph("The checkpoint's likeliest next token after the plain context.", "caption"),
        Table.of("", predictions.rows, prefix, media=PAGE, fold=PREFIX_RULE),
        _paper(TEXT),
        accuracy_bars(summary, predictions),
    ]


def _reasoning(summary: ReportSummary, predictions: PredictionSummary) -> Table:
    seeds = most_seeds(predictions.rows)
    title = (
        f"With reasoning: next-token accuracy in percent, {summary.confidence:.0%} intervals over "
        f"{predictions.documents} documents" + (f", mean of {seeds} seeds" if seeds > 1 else "")
    )
    tokens = "{:.1f}".format
    columns = [
        model_column(summary),
        *_parts(predictions, lambda row: row.reasoning),
        Column("tokens", lambda row: optional(row.tokens and row.tokens.mean, tokens), True, TEXT),
        Column("length", lambda row: estimate(row.tokens, tokens), True, PAGE),
        Column("budget", lambda row: str(row.budget_tokens) if row.budget_tokens else None, True),
        *(replace(column, media=("page", "artifact")) for column in LOST),
    ]
    constants = {"predicted": "with reasoning"}
    note = asked_of(predictions.rows)
    return Table.of(title, predictions.rows, columns, note=note, group=_group(summary), constants=constants)


def _lost(predictions: PredictionSummary) -> Table:
    """What a page shows beside the accuracy, for which lines of text have no room."""
    title = "With reasoning: percent of completions that name no token, percent cut at the token limit"
    columns = [Column("model", lambda row: row.label), *LOST]
    note = asked_of(predictions.rows)
    return Table.of(title, predictions.rows, columns, note=note, media=("terminal", "markdown"))


def _parts(predictions: PredictionSummary, metrics: Callable[[PredictionRow], dict[str, Metric]]) -> list[Column]:
    """A column of accuracies for each tier and their mean."""
    return [Column(part, lambda row, part=part: estimate(metrics(row)[part]), True) for part in predictions.parts]


def _group(summary: ReportSummary) -> tuple[str, str]:
    where = f"{summary.confidence:.0%} intervals over {predictions_of(summary).documents} documents"
    return "accuracy", f"Next-token accuracy in percent, {where}"


def _paper(media: tuple[Medium, ...]) -> Table:
    """The paper's numbers; a page shows them below those with reasoning, text after those without."""

    def part(name: str) -> Column:
        return Column(name, lambda row: optional(getattr(row, name), "{:.1f}".format), True)

    columns = [*map(part, paper.PARTS), Column("tokens", lambda row: row.tokens or None, True)]
    return _of_paper(f"The paper's ({paper.PAPER})", paper.ACCURACY, columns, media=media)


def _of_paper(title: str, rows: Any, columns: list[Column], **options: Any) -> Table:
    first = [Column("model", lambda row: Name(row.label)), Column("of", lambda row: row.model)]
    source = Column("source", lambda row: f"{paper.PAPER}, {row.source}", media=PAGE)
    return Table.of(title, rows, [*first, *columns, source], look="paper", **options)


def comparisons(summary: ReportSummary) -> list[Block]:
    """Paired differences at the same positions."""
    blocks = compared(summary.at_positions, "at the same positions", "where")
    title = Paragraph("Comparisons at the same positions", "title")
    return [title, *blocks, Paragraph(POSITIONS_CAPTION, "caption")] if blocks else []


def afterwards(summary: ReportSummary) -> list[Block]:
    """Benchmarks, which most checkpoints are measured on after GRPO, beside the paper's numbers."""
    if not summary.models:
        return []
    after = {row.checkpoint for row in summary.models} == {"rl"}
    accuracies = [Column("percent", lambda row: f"{row.accuracy:.1f}", True)]
    blocks = compared(summary.on_questions, "on the same questions", "benchmark")
    return [
        Paragraph("After GRPO on questions" if after else "Benchmarks", "title"),
        *scores(summary),
        *vote_tables(summary),
        Paragraph("The paper's, after GRPO", "heading"),
        _of_paper(f"The paper's accuracy after GRPO ({paper.PAPER})", paper.AFTERWARDS, accuracies),
        pass_curves(summary),
        *([*blocks, Paragraph(AFTERWARDS_CAPTION, "caption")] if blocks else []),
    ]
