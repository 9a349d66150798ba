"""A report's scores as rows of tables: column names and numbers that are read at a glance."""

from collections.abc import Iterable, Mapping
from typing import Any

from tasks.report.rmt.summary import METHOD, PredictionRow, RMTSummary
from tasks.report.summary import ComparisonRow, Metric, ModelRow, ReportSummary, p_text, percent, points

Rows = list[dict[str, str]]


def result_tables(numbers: Mapping[str, Any]) -> dict[str, tuple[str, Rows]]:
    """The tables of a report's summary by key: a title, and a row for each model and what it was measured on."""
    if numbers.get("method") == METHOD:
        summary = RMTSummary.model_validate(numbers)
        where = f"{summary.confidence:.0%} intervals over {summary.documents} documents"
        accuracy = [row for model in summary.rows for row in _accuracy(model)]
        after = summary.afterwards
        tables = {"accuracy": (f"Next-token accuracy in percent, {where}", accuracy)}
        tables |= {"scores": _scores(after)} if after else {}
        compared = [*summary.comparisons, *(after.comparisons if after else ())]
    else:
        questions = ReportSummary.model_validate(numbers)
        tables, compared = {"scores": _scores(questions)}, questions.comparisons
    about = "Candidate minus baseline on the same questions or positions, in percentage points"
    return tables | ({"differences": (about, [_difference(row) for row in compared])} if compared else {})


def _scores(summary: ReportSummary) -> tuple[str, Rows]:
    title = f"Percent right, {summary.confidence:.0%} intervals over questions"
    names = dict.fromkeys(name for row in summary.models for name in row.headline)
    return title, [_score(row, names) for row in summary.models]


def _difference(row: ComparisonRow) -> dict[str, str]:
    return {
        "candidate": row.candidate,
        "baseline": row.baseline,
        "on": row.benchmark,
        "metric": row.metric,
        "difference": points(row.difference),
        "interval": f"[{points(row.low)}, {points(row.high)}]",
        "p": p_text(row.p_value).removeprefix("p ").removeprefix("= "),
        "verdict": "no significant difference" if row.verdict == "unclear" else row.verdict,
    }


def _score(row: ModelRow, names: Iterable[str]) -> dict[str, str]:
    asked = f"{row.questions} x {row.samples}" + (f", {len(row.seeds)} seeds" if len(row.seeds) > 1 else "")
    metrics = {name: _text(row.metrics.get(name)) for name in names}
    return {"model": row.label, "benchmark": row.benchmark, **metrics, "questions x samples": asked}


def _accuracy(row: PredictionRow) -> Rows:
    tokens = f"{row.tokens.mean:.1f}" if row.tokens else ""
    kinds = {"with reasoning": (row.reasoning, tokens), "without": (row.direct, "")}
    return [
        {
            "model": row.label,
            "predicted": kind,
            **{part: _text(metric) for part, metric in found.items()},
            "tokens of reasoning": length,
        }
        for kind, (found, length) in kinds.items()
    ]


def _text(metric: Metric | None) -> str:
    return f"{percent(metric.mean)} [{percent(metric.low)}, {percent(metric.high)}]" if metric else ""
