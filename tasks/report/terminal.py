"""A report or an evaluation as tables for a terminal."""

from collections.abc import Sequence

from rich.box import SIMPLE
from rich.table import Table
from rich.text import Text

from tasks.report.ledger import Balance, balances
from tasks.report.summary import ComparisonRow, ModelRow, ReportSummary, StageRow, p_text, percent, points
from tasks.spine.store.manifest import Manifest

COLOURS = {"better": "green", "worse": "red", "unclear": "yellow"}


def tables(manifest: Manifest) -> list[Table]:
    """The tables to print after a run: of a report, or of a single evaluation or prediction."""
    # They are made of this module's tables.
    from tasks.report.rmt import terminal as rmt
    from tasks.report.rmt.summary import METHOD, RMTSummary

    if manifest.kind == "report" and manifest.summary.get("method") == METHOD:
        return rmt.summary_tables(RMTSummary.model_validate(manifest.summary))
    if manifest.kind == "report":
        return summary_tables(ReportSummary.model_validate(manifest.summary))
    if manifest.kind == "evaluation":
        return [evaluation_table(manifest)]
    if manifest.kind == "prediction":
        return [rmt.prediction_table(manifest)]
    return []


def summary_tables(summary: ReportSummary) -> list[Table]:
    """Models, comparisons, heuristics and rows; empty ones left out."""
    found = model_tables(summary)
    found += comparison_tables(summary.comparisons, "on the same questions", "benchmark")
    if summary.heuristics:
        found.append(_heuristics(summary))
    if any(stage.ledger for stage in summary.stages):
        found.append(ledger_table(summary.stages))
    return found


def model_tables(summary: ReportSummary) -> list[Table]:
    """Scores of the models, a table for each benchmark."""
    return [_models(summary, benchmark) for benchmark in summary.benchmarks]


def evaluation_table(manifest: Manifest) -> Table:
    """Scores of one model on its benchmarks."""
    scores: dict[str, dict[str, float]] = manifest.summary.get("scores", {})
    metrics = list(dict.fromkeys(key for values in scores.values() for key in values if f"{key}_low" in values))
    title = f"Scores of {manifest.parents.get('model', manifest.ref)} (percent, with intervals over questions)"
    table = plain_table(title, "benchmark", numbers=("questions", *metrics, "mean tokens"))
    for benchmark, values in scores.items():
        cells = [interval_text(*(values[key] for key in (name, f"{name}_low", f"{name}_high"))) for name in metrics]
        table.add_row(benchmark, f"{values['questions']:.0f}", *cells, f"{values.get('mean_tokens', 0):.0f}")
    return table


def balance_text(balance: Balance) -> str:
    """`400 read = 398 kept + 2 merged`; parts of nothing are left out."""
    name, total = balance.total
    head = f"{total:,} {name.replace('_', ' ')}"
    parts = [f"{count:,} {part.replace('_', ' ')}" for part, count in balance.parts if count]
    return f"{head} = {' + '.join(parts)}" if parts else head


def plain_table(title: str, *columns: str, numbers: Sequence[str] = ()) -> Table:
    """A plain table that fits 80 columns; `numbers` are aligned to the right."""
    table = Table(title=title, title_justify="left", box=SIMPLE, pad_edge=False, padding=(0, 1))
    for name in columns:
        table.add_column(name)
    for name in numbers:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def _models(summary: ReportSummary, benchmark: str) -> Table:
    rows = [row for row in summary.models if row.benchmark == benchmark]
    first = rows[0]
    seeds = max(len(row.seeds) for row in rows)
    title = f"{benchmark}: percent right, {summary.confidence:.0%} intervals over {first.questions} questions"
    title += f" x {first.samples} samples" + (f", mean of {seeds} seeds" if seeds > 1 else "")
    table = plain_table(title, "model", numbers=first.headline)
    for row in rows:
        table.add_row(row.label, *(_cell(row, metric) for metric in first.headline))
    return table


def _cell(row: ModelRow, metric: str) -> Text:
    found = row.metrics.get(metric)
    return Text("-") if found is None else interval_text(found.mean, found.low, found.high)


def interval_text(mean: float, low: float, high: float) -> Text:
    """A share with its interval, in percent."""
    return Text.assemble((f"{percent(mean):>5}", "bold"), (f" [{percent(low)}, {percent(high)}]", "dim"))


def comparison_tables(rows: Sequence[ComparisonRow], same: str, what: str) -> list[Table]:
    """A table for each pair of labels; `same` says what both met, `what` names the first column."""
    pairs = dict.fromkeys((row.baseline, row.candidate) for row in rows)
    return [_comparisons([row for row in rows if (row.baseline, row.candidate) == pair], same, what) for pair in pairs]


def _comparisons(rows: Sequence[ComparisonRow], same: str, what: str) -> Table:
    title = f"{rows[0].candidate} - {rows[0].baseline}, {same}, in percentage points"
    table = plain_table(title, what, "metric", numbers=("difference", "interval", "p"))
    table.add_column("")
    for row in rows:
        verdict = "no significant difference" if row.verdict == "unclear" else row.verdict
        table.add_row(
            row.benchmark,
            row.metric,
            points(row.difference),
            Text(f"[{points(row.low)}, {points(row.high)}]"),
            p_text(row.p_value).removeprefix("p ").removeprefix("= "),
            Text(verdict, COLOURS[row.verdict]),
        )
    return table


def _heuristics(summary: ReportSummary) -> Table:
    several = len({row.arms for row in summary.heuristics}) > 1
    names = ("arm", "heuristic") if several else ("heuristic",)
    table = plain_table("Solutions by heuristic", *names, numbers=("samples", "correct", "correct rate", "kept"))
    for row in summary.heuristics:
        arm = (row.arms,) if several else ()
        rate = f"{percent(row.correct_rate)} %"
        table.add_row(*arm, row.name or "plain prompt", f"{row.samples:,}", f"{row.correct:,}", rate, f"{row.kept:,}")
    return table


def ledger_table(stages: Sequence[StageRow]) -> Table:
    """Totals that fell into parts, counted in rows; the page has the tokens and all the rest."""
    table = plain_table("Rows: what went in, what became of it", "stage", "arm", "counts")
    for stage in stages:
        found = [balance for balance in balances(stage.ledger) if balance.parts]
        lines = [balance_text(balance) for balance in found if not balance.total[0].startswith("tokens_")]
        if lines:
            table.add_row(f"{stage.stage} {stage.what}".strip(), stage.used_by, "\n".join(lines))
    return table
