"""The tables of a report that was made, and of a single evaluation or prediction, from their manifests."""

from tasks.predict.schema import DIRECT, REASONING
from tasks.predict.tally import EXACT
from tasks.report.blocks import Cell, Column, Table, estimate
from tasks.report.rows import Metric
from tasks.report.sections.order import tables_of
from tasks.report.summary import ReportSummary
from tasks.spine.store.manifest import Manifest


def tables(manifest: Manifest) -> list[Table]:
    """The tables to show after a run; none of artifacts that hold no results."""
    # A stage `rmt-report` of 0.1 has a summary of another form; its page is there all the same.
    if manifest.kind == "report" and manifest.stage == "report":
        return tables_of(ReportSummary.model_validate(manifest.summary))
    if manifest.kind == "evaluation":
        return [_evaluation(manifest)]
    if manifest.kind == "prediction":
        return [_prediction(manifest)]
    return []


def _evaluation(manifest: Manifest) -> Table:
    """Scores of one model on its benchmarks."""
    scores: dict[str, dict[str, float]] = manifest.summary.get("scores", {})
    metrics = dict.fromkeys(key for values in scores.values() for key in values if f"{key}_low" in values)

    def metric(name: str) -> Column:
        def cell(benchmark: str) -> Cell:
            mean, low, high = (scores[benchmark][key] for key in (name, f"{name}_low", f"{name}_high"))
            return estimate(Metric(mean=mean, low=low, high=high))

        return Column(name, cell, True)

    columns = [
        Column("benchmark", str),
        Column("questions", lambda benchmark: f"{scores[benchmark]['questions']:.0f}", True),
        *map(metric, metrics),
        Column("mean tokens", lambda benchmark: f"{scores[benchmark].get('mean_tokens', 0):.0f}", True),
    ]
    title = f"Scores of {manifest.parents.get('model', manifest.ref)} (percent, with intervals over questions)"
    return Table.of(title, scores, columns)


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
    return Table.of(title, (DIRECT, REASONING), columns)
