"""A report or an evaluation as tables for a terminal."""

from rich.table import Table
from rich.text import Text

from tasks.artifacts.manifest import Manifest
from tasks.report.ledger import Balance, balances
from tasks.report.summary import ModelRow, ReportSummary, p_text, percent, points

COLOURS = {"better": "green", "worse": "red", "unclear": "yellow"}


def tables(manifest: Manifest) -> list[Table]:
    """The tables to print after a run: of a report, or of a single evaluation."""
    if manifest.kind == "report":
        return summary_tables(ReportSummary.model_validate(manifest.summary))
    if manifest.kind == "evaluation":
        return [evaluation_table(manifest)]
    return []


def summary_tables(summary: ReportSummary) -> list[Table]:
    """Models, comparisons, heuristics and rows; empty ones left out."""
    found = [_models(summary, benchmark) for benchmark in summary.benchmarks]
    if summary.comparisons:
        found.append(_comparisons(summary))
    if summary.heuristics:
        found.append(_heuristics(summary))
    if any(stage.ledger for stage in summary.stages):
        found.append(_rows(summary))
    return found


def evaluation_table(manifest: Manifest) -> Table:
    """Scores of one model on its benchmarks."""
    title = f"Scores of {manifest.parents.get('model', manifest.ref)} (percent, with intervals)"
    table = Table(title=title, title_justify="left")
    table.add_column("benchmark")
    scores: dict[str, dict[str, float]] = manifest.summary.get("scores", {})
    metrics = list(dict.fromkeys(key for values in scores.values() for key in values if f"{key}_low" in values))
    for name in ("questions", *metrics, "mean tokens"):
        table.add_column(name, justify="right")
    for benchmark, values in scores.items():
        cells = [_interval(*(values[key] for key in (name, f"{name}_low", f"{name}_high"))) for name in metrics]
        table.add_row(benchmark, f"{values['questions']:.0f}", *cells, f"{values.get('mean_tokens', 0):.0f}")
    return table


def balance_text(balance: Balance) -> str:
    """`400 read = 398 kept + 2 merged`; parts of nothing are left out."""
    name, total = balance.total
    head = f"{total:,} {name.replace('_', ' ')}"
    parts = [f"{count:,} {part.replace('_', ' ')}" for part, count in balance.parts if count]
    return f"{head} = {' + '.join(parts)}" if parts else head


def _models(summary: ReportSummary, benchmark: str) -> Table:
    rows = [row for row in summary.models if row.benchmark == benchmark]
    first = rows[0]
    seeds = max(len(row.seeds) for row in rows)
    table = Table(
        title=f"{benchmark}: percent right, {summary.confidence:.0%} intervals over {first.questions} questions x "
        f"{first.samples} samples" + (f", mean of {seeds} seeds" if seeds > 1 else ""),
        title_justify="left",
    )
    table.add_column("model")
    for metric in first.headline:
        table.add_column(metric, justify="right")
    for row in rows:
        table.add_row(row.label, *(_cell(row, metric) for metric in first.headline))
    return table


def _cell(row: ModelRow, metric: str) -> Text:
    found = row.metrics.get(metric)
    return Text("-") if found is None else _interval(found.mean, found.low, found.high)


def _interval(mean: float, low: float, high: float) -> Text:
    return Text.assemble((percent(mean), "bold"), (f"  [{percent(low):>4}, {percent(high):>5}]", "dim"))


def _comparisons(summary: ReportSummary) -> Table:
    table = Table(title="Differences on the same questions, percentage points", title_justify="left")
    for name in ("candidate - baseline", "benchmark", "metric"):
        table.add_column(name)
    for name in ("difference", "interval", "p", "detectable"):
        table.add_column(name, justify="right")
    table.add_column("")
    for row in summary.comparisons:
        verdict = "no significant difference" if row.verdict == "unclear" else row.verdict
        table.add_row(
            f"{row.candidate} - {row.baseline}",
            row.benchmark,
            row.metric,
            points(row.difference),
            f"[{points(row.low)}, {points(row.high)}]".replace("[", r"\["),
            p_text(row.p_value).removeprefix("p ").removeprefix("= "),
            "-" if row.minimum_detectable is None else f"{100 * row.minimum_detectable:.1f}",
            Text(verdict, COLOURS[row.verdict]),
        )
    return table


def _heuristics(summary: ReportSummary) -> Table:
    table = Table(title="Solutions by heuristic", title_justify="left")
    several = len({row.arms for row in summary.heuristics}) > 1
    for name in ("arm", "heuristic") if several else ("heuristic",):
        table.add_column(name)
    for name in ("samples", "correct", "correct rate", "kept"):
        table.add_column(name, justify="right")
    for row in summary.heuristics:
        names = (row.arms,) if several else ()
        rate = f"{percent(row.correct_rate)} %"
        table.add_row(*names, row.name or "plain prompt", f"{row.samples:,}", f"{row.correct:,}", rate, f"{row.kept:,}")
    return table


def _rows(summary: ReportSummary) -> Table:
    table = Table(title="Rows: what went in, what became of it", title_justify="left")
    table.add_column("stage")
    table.add_column("used by")
    table.add_column("counts")
    for stage in summary.stages:
        if stage.ledger:
            table.add_row(stage.stage, stage.used_by, "\n".join(map(balance_text, balances(stage.ledger))))
    return table
