"""What to show after a run: the tables of a report, an evaluation or a prediction, and what to know about them."""

from collections.abc import Iterator, Mapping
from typing import Any

from tasks.predict.schema import DIRECT, REASONING
from tasks.predict.tally import EXACT
from tasks.report.blocks import Cell, Column, Table, estimate
from tasks.report.rows import ACCURACY, Metric, asked_words, lost_share_warnings
from tasks.report.sections.differences import optional
from tasks.report.sections.order import tables_of
from tasks.report.summary import ReportSummary
from tasks.spine.store.manifest import Manifest
from tasks.spine.tracking.terms import metric_name


def tables(manifest: Manifest) -> list[Table]:
    """The tables to show after a run; none of artifacts that hold no results."""
    # A stage `rmt-report` of 0.1 has a summary of another form; its page is there all the same.
    if _is_report(manifest):
        return tables_of(ReportSummary.model_validate(manifest.summary))
    if manifest.kind == "evaluation":
        return [_evaluation(manifest), *_votes(manifest), _lost_answers(manifest)]
    if manifest.kind == "prediction":
        return [_prediction(manifest), _lost_predictions(manifest)]
    return []


def warnings(manifest: Manifest) -> list[str]:
    """What to know before the tables are taken for more than they are."""
    if _is_report(manifest):
        return ReportSummary.model_validate(manifest.summary).warnings
    found: list[str] = []
    if manifest.kind == "evaluation":
        for benchmark, values in _scores(manifest).items():
            truncated, unread, empty = (values.get(f"{name}_share") for name in ("truncated", "unparsed", "empty"))
            found += lost_share_warnings(benchmark, truncated=truncated, unread=unread, empty=empty)
    if manifest.kind == "prediction":
        for tier, shares in manifest.summary["outcomes"].items():
            truncated, unread = shares["truncated"], shares["no_prediction"]
            found += lost_share_warnings(f"{tier} tokens", truncated=truncated, unread=unread, what="name no token")
    return found


def headline(manifest: Manifest) -> Iterator[tuple[str, float]]:
    """The main numbers of a report by name, as shares of 1: by them two runs compare in MLflow's table."""
    summary = ReportSummary.model_validate(manifest.summary)
    for row in summary.models:
        for name in row.headline:
            yield metric_name(row.benchmark, f"{name} {row.label}"), row.metrics[name].mean
    for predicted in summary.predictions.rows if summary.predictions else ():
        for part, metric in predicted.reasoning.items():
            yield metric_name(ACCURACY, f"{part} {predicted.label}"), metric.mean
    for found in (*summary.at_positions, *summary.findings):
        pair = f"{found.candidate} minus {found.baseline}"
        yield metric_name("difference", f"{found.benchmark} {found.metric} {pair}"), found.difference


def _is_report(manifest: Manifest) -> bool:
    return manifest.kind == "report" and manifest.stage == "report"


def _scores(manifest: Manifest) -> dict[str, dict[str, float]]:
    scores: dict[str, dict[str, float]] = manifest.summary.get("scores", {})
    return scores


def _evaluation(manifest: Manifest) -> Table:
    """Scores of one model on its benchmarks."""
    scores = _scores(manifest)
    metrics = [name for name in _metrics(scores) if not name.startswith(("maj@", "best@"))]
    columns = [
        Column("benchmark", str),
        Column("questions", lambda benchmark: f"{scores[benchmark]['questions']:.0f}", True),
        *(_metric(name, scores) for name in metrics),
    ]
    title = f"Scores of {manifest.parents.get('model', manifest.ref)} (percent, with intervals over questions)"
    return Table.of(title, scores, columns, note=asked_words(manifest.summary))


def _votes(manifest: Manifest) -> list[Table]:
    """Scores of the answers that are chosen among samples: the most frequent ones, and the reward model's choice."""
    scores, tables = _scores(manifest), []
    for kind, title in (("maj@", "The most frequent answer"), ("best@", "The reward model's choice")):
        if names := [name for name in _metrics(scores) if name.startswith(kind)]:
            columns = [Column("benchmark", str), *(_metric(name, scores) for name in names)]
            tables.append(Table.of(f"{title}: percent right", scores, columns))
    return tables


def _metrics(scores: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Metrics with an interval that a benchmark has."""
    return list(dict.fromkeys(key for values in scores.values() for key in values if f"{key}_low" in values))


def _metric(name: str, scores: Mapping[str, Mapping[str, float]]) -> Column:
    def cell(benchmark: str) -> Cell:
        mean, low, high = (scores[benchmark][key] for key in (name, f"{name}_low", f"{name}_high"))
        return estimate(Metric(mean=mean, low=low, high=high))

    return Column(name, cell, True)


def _lost_answers(manifest: Manifest) -> Table:
    """What became of the samples, by benchmark."""
    scores = _scores(manifest)
    columns = [
        Column("benchmark", str),
        Column("mean tokens", lambda benchmark: f"{scores[benchmark].get('mean_tokens', 0):.0f}", True),
        _share("cut", scores, "truncated_share"),
        _share("unread", scores, "unparsed_share"),
    ]
    title = "Samples: mean tokens, percent cut at the token limit, percent without a readable answer"
    return Table.of(title, scores, columns, note=asked_words(manifest.summary))


def _share(name: str, values: Mapping[str, Mapping[str, Any]], key: str) -> Column:
    return Column(name, lambda row: optional(values[row].get(key)), True)


def _prediction(manifest: Manifest) -> Table:
    """Accuracy of one model by tier, with and without reasoning."""
    summary = manifest.summary
    accuracy, tokens = summary["accuracy"], summary["reasoning_tokens"].get("mean")
    title = (
        f"Next-token accuracy of {manifest.parents.get('model', manifest.ref)} at "
        f"{sum(summary['positions'].values())} positions of {summary['documents']} documents (percent, with intervals)"
    )

    def part(name: str) -> Column:
        return Column(name, lambda mode: estimate(Metric.model_validate(accuracy[mode][EXACT][name])), True)

    columns = [
        Column("prediction", lambda mode: "without reasoning" if mode == DIRECT else "with reasoning"),
        *map(part, accuracy[REASONING][EXACT]),
        Column("tokens", lambda mode: f"{tokens['mean']:.1f}" if tokens and mode == REASONING else None, True),
    ]
    return Table.of(title, (DIRECT, REASONING), columns, note=asked_words(summary))


def _lost_predictions(manifest: Manifest) -> Table:
    """What became of the completions, by tier."""
    outcomes = manifest.summary["outcomes"]
    columns = [Column("tier", str), _share("none", outcomes, "no_prediction"), _share("cut", outcomes, "truncated")]
    title = "With reasoning: percent of completions that name no token, percent cut at the token limit"
    return Table.of(title, outcomes, columns, note=asked_words(manifest.summary))
