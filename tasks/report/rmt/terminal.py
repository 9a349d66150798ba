"""A report of reinforcement mid-training, or one prediction, as tables for a terminal."""

from typing import Any

from rich.table import Table
from rich.text import Text

from tasks.predict.schema import DIRECT, REASONING
from tasks.predict.tally import EXACT
from tasks.report.rmt.paper import PAPER
from tasks.report.rmt.summary import RMTSummary
from tasks.report.summary import Metric
from tasks.report.terminal import comparison_tables, interval_text, ledger_table, model_tables, plain_table
from tasks.spine.store.manifest import Manifest

DATA_STAGES = ("texts", "entropy", "schedule")
"""Whose rows are shown; the page has those of every model and prediction."""
COLOURS = {"holds": "green", "does not hold": "red", "unclear": "yellow"}


def summary_tables(summary: RMTSummary) -> list[Table]:
    """Accuracy, the paper's, comparisons, benchmarks, claims and rows; empty ones left out."""
    found = [_accuracy(summary), _direct(summary), _paper(summary)]
    found += comparison_tables(summary.comparisons, "at the same positions", "where")
    if summary.afterwards is not None:
        found += [*model_tables(summary.afterwards), _paper_afterwards(summary)]
        found += comparison_tables(summary.afterwards.comparisons, "on the same questions", "benchmark")
    if summary.claims:
        found.append(_claims(summary))
    found.append(ledger_table([stage for stage in summary.stages if stage.stage in DATA_STAGES]))
    return found


def prediction_table(manifest: Manifest) -> Table:
    """Accuracy of one model by tier, with and without reasoning."""
    summary = manifest.summary
    parts = list(summary["accuracy"][REASONING][EXACT])
    title = (
        f"Next-token accuracy of {manifest.parents.get('model', manifest.ref)} at "
        f"{sum(summary['positions'].values())} positions of {summary['documents']} documents (percent, with intervals)"
    )
    table = plain_table(title, "prediction", numbers=(*parts, "tokens"))
    tokens: dict[str, Any] = summary["reasoning_tokens"].get("mean", {})
    for mode in (DIRECT, REASONING):
        cells = [interval_text(**summary["accuracy"][mode][EXACT][part]) for part in parts]
        length = f"{tokens['mean']:.1f}" if tokens and mode == REASONING else "-"
        table.add_row("without reasoning" if mode == DIRECT else "with reasoning", *cells, length)
    return table


def _accuracy(summary: RMTSummary) -> Table:
    seeds = max(len(row.seeds) for row in summary.rows)
    title = (
        f"With reasoning: next-token accuracy in percent, {summary.confidence:.0%} intervals over "
        f"{summary.documents} documents" + (f", mean of {seeds} seeds" if seeds > 1 else "")
    )
    table = plain_table(title, "model", numbers=(*summary.parts, "tokens", "budget"))
    for row in summary.rows:
        length = "-" if row.tokens is None else f"{row.tokens.mean:.1f}"
        cells = [_cell(row.reasoning[part]) for part in summary.parts]
        table.add_row(row.label, *cells, length, str(row.budget_tokens or "-"))
    return table


def _direct(summary: RMTSummary) -> Table:
    table = plain_table("Without reasoning: the likeliest next token, percent", "model", numbers=summary.parts)
    for row in summary.rows:
        table.add_row(row.label, *(_cell(row.direct[part]) for part in summary.parts))
    return table


def _cell(metric: Metric) -> Text:
    return interval_text(metric.mean, metric.low, metric.high)


def _paper(summary: RMTSummary) -> Table:
    parts = ("easy", "medium", "hard", "mean")
    table = plain_table(f"The paper's ({PAPER})", "model", "of", numbers=(*parts, "tokens"))
    for row in summary.paper:
        values = [getattr(row, part) for part in parts]
        shown = ["-" if value is None else f"{value:.1f}" for value in values]
        table.add_row(row.label, row.model, *shown, row.tokens or "-")
    return table


def _paper_afterwards(summary: RMTSummary) -> Table:
    table = plain_table(f"The paper's accuracy after GRPO ({PAPER})", "model", "of", numbers=("percent",))
    for row in summary.paper_afterwards:
        table.add_row(row.label, row.model, f"{row.accuracy:.1f}")
    return table


def _claims(summary: RMTSummary) -> Table:
    table = plain_table("What the paper orders, here", "claim", "paper", "here", "")
    for claim in summary.claims:
        table.add_row(claim.text, claim.paper, claim.here, Text(claim.status, COLOURS[claim.status]))
    return table
