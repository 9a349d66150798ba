"""From what was gathered to the report's numbers and warnings."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

from tasks.entropy.plot import histogram_figure
from tasks.predict.schema import DIRECT, REASONING
from tasks.predict.tally import EXACT, MEAN, PREFIX
from tasks.report.numbers.before_rl import starts
from tasks.report.numbers.caveats import caveats
from tasks.report.numbers.claims import claims
from tasks.report.numbers.collect import Evaluated, benchmarks
from tasks.report.numbers.diversity import compositions, training_sets
from tasks.report.numbers.inputs import Line, ReportInputs
from tasks.report.numbers.statistics import (
    accuracy,
    compare,
    compare_predictions,
    compared_metrics,
    every_metric,
    headline_metrics,
    over_benchmarks,
    reasoning_tokens,
    score,
)
from tasks.report.rows import ComparisonRow, ModelRow, PredictionRow, asked_words
from tasks.report.summary import Picture, PredictionSummary, ReportSummary, all_printable
from tasks.report.training_rows import HeuristicRow
from tasks.schedule.config import ScheduleConfig
from tasks.schedule.plot import schedule_figure
from tasks.shared.figures import NARROW, WIDTH
from tasks.shared.next_token.method import TIERS
from tasks.spine.store.manifest import Manifest

PICTURES = {"entropy": "Entropy of the texts", "schedule": "Schedule"}
"""What the figure of a kind of artifact shows."""
COUNTS = ("samples", "correct", "kept", "goes_on", "truncated", "unparsed", "solves_alone")
"""Counts of a heuristic that seeds add to."""


def summarise(inputs: ReportInputs) -> ReportSummary:
    """All numbers of a report; text of users and models in it is printable, whatever will show it."""
    config, provenance = inputs.config, inputs.provenance
    shared = benchmarks(seed for seeds in inputs.evaluations.values() for seed in seeds)
    models = [row for benchmark in shared for row in _models(inputs, benchmark)]
    pairs = [pair for pair in config.comparisons if set(pair) <= set(inputs.evaluations)]
    compared = [row for pair in pairs for name in shared for row in _comparisons(inputs, pair, name)]
    on_questions = over_benchmarks(compared)
    predictions = _predictions(inputs)
    summary = ReportSummary(
        title=config.title,
        recipe=config.recipe,
        base_model=provenance.base_model,
        notes=list(config.notes),
        warnings=list(caveats(inputs, models, shared, predictions.rows if predictions else [])),
        confidence=config.confidence,
        predictions=predictions,
        claims=claims(inputs, predictions.rows if predictions else [], models, on_questions),
        models=models,
        comparisons=[*compare_predictions(config, inputs.predictions), *on_questions],
        heuristics=_heuristics(inputs),
        starts=starts(inputs),
        diversity=training_sets(inputs),
        compositions=compositions(inputs),
        stages=provenance.stages(),
        styles={name: styles for name in shared if (styles := _styles(inputs, name))},
        finished=max(manifest.created_at for manifest in provenance.manifests),
        commits=provenance.commits,
        versions=provenance.versions,
        curves=provenance.curves(),
        lineage=provenance.lineage(),
        pictures=list(_pictures(inputs)),
        examples=list(inputs.examples),
    )
    return all_printable(summary)


def _models(inputs: ReportInputs, benchmark: str) -> Iterator[ModelRow]:
    for label, seeds in inputs.evaluations.items():
        scores = seeds[0].benchmarks[benchmark]
        has_greedy = all(evaluated.benchmarks[benchmark].greedy is not None for evaluated in seeds)
        rewarded = all(evaluated.benchmarks[benchmark].rewards for evaluated in seeds)
        metrics = every_metric(scores.samples, has_greedy, rewarded)
        yield ModelRow(
            label=label,
            checkpoint=seeds[0].entry.checkpoint,
            benchmark=benchmark,
            seeds=[evaluated.entry.seed for evaluated in seeds],
            questions=len(scores.ids),
            samples=scores.samples,
            metrics={name: score(inputs.config, seeds, benchmark, name) for name in metrics},
            headline=list(headline_metrics(scores.samples, has_greedy)),
            **_clean(inputs, seeds, benchmark),
            mean_tokens=_mean_of(seeds, benchmark, "mean_tokens"),
            truncated_share=_mean_of(seeds, benchmark, "truncated_share"),
            unparsed_share=_mean_of(seeds, benchmark, "unparsed_share"),
            empty_share=_mean_of(seeds, benchmark, "empty_share"),
            asked=asked_words(seeds[0].manifest.summary),
        )


def _clean(inputs: ReportInputs, seeds: Sequence[Evaluated], benchmark: str) -> dict[str, Any]:
    """How many questions of a benchmark overlap with training questions, and the score on the others."""
    scores = seeds[0].benchmarks[benchmark]
    ids = inputs.overlapping.get(benchmark, frozenset()).intersection(scores.ids)
    if not ids or len(ids) == len(scores.ids):
        return {"overlapping": len(ids)}
    others = [replace(seed, benchmarks={benchmark: seed.benchmarks[benchmark].without(ids)}) for seed in seeds]
    return {"overlapping": len(ids), "clean": score(inputs.config, others, benchmark, "pass@1")}


def _mean_of(seeds: Sequence[Evaluated], benchmark: str, key: str) -> float | None:
    values = [evaluated.manifest.summary.get("scores", {}).get(benchmark, {}).get(key) for evaluated in seeds]
    return None if None in values else sum(values) / len(values)


def _comparisons(inputs: ReportInputs, pair: tuple[str, str], benchmark: str) -> Iterator[ComparisonRow]:
    both = [evaluated.benchmarks[benchmark] for label in pair for evaluated in inputs.evaluations[label]]
    for metric in compared_metrics(both[0].samples, all(scores.greedy is not None for scores in both)):
        yield compare(inputs.config, inputs.evaluations, pair, benchmark, metric)


def _predictions(inputs: ReportInputs) -> PredictionSummary | None:
    lines = list(inputs.predictions.values())
    if not lines:
        return None
    tally = lines[0].tally
    return PredictionSummary(
        documents=len(tally.documents),
        positions={tier: int(tally.weights[:, index].sum()) for index, tier in enumerate(TIERS)},
        samples=min(seed.manifest.summary["samples"] for line in lines for seed in line.seeds),
        rows=[_prediction(inputs, line) for line in lines],
    )


def _prediction(inputs: ReportInputs, line: Line) -> PredictionRow:
    config = inputs.config
    outcomes = [counts for seed in line.seeds for counts in seed.tally.outcomes.values()]
    total = max(1, sum(counts.total() for counts in outcomes))
    return PredictionRow(
        label=line.label,
        method=line.entry.method,
        checkpoint=line.entry.checkpoint,
        seeds=[seed.entry.seed for seed in line.seeds],
        reasoning=accuracy(config, line, REASONING, EXACT),
        prefix=accuracy(config, line, REASONING, PREFIX),
        direct=accuracy(config, line, DIRECT, EXACT),
        tokens=reasoning_tokens(config, line) if MEAN in line.tally.parts else None,
        budget_tokens=line.seeds[0].manifest.summary["budget_tokens"],
        no_prediction_share=sum(counts["no_prediction"] for counts in outcomes) / total,
        truncated_share=sum(counts["truncated"] for counts in outcomes) / total,
        asked=asked_words(line.seeds[0].manifest.summary),
    )


def _heuristics(inputs: ReportInputs) -> list[HeuristicRow]:
    """Counts of each heuristic, summed over the seeds of the arms that share it."""
    totals: dict[tuple[str, str], Counter[str]] = {}
    for manifest in inputs.provenance.manifests:
        if manifest.kind != "filtered":
            continue
        arms = ", ".join(sorted({entry.arm for entry in inputs.provenance.entries_of[manifest.ref] if entry.arm}))
        for name, counts in manifest.summary.get("heuristics", {}).items():
            total = totals.setdefault((arms, name), Counter())
            total.update({key: counts.get(key, 0) for key in COUNTS})
            if counts.get("adherence") is not None:
                total.update(adherence=counts["adherence"] * counts["correct"], scored=counts["correct"])
            if counts.get("arithmetic") is not None:
                total.update(arithmetic=counts["arithmetic"] * counts["calculated"], calculated=counts["calculated"])
            if counts.get("mean_tokens") is not None:
                total.update(tokens=counts["mean_tokens"] * counts["samples"])
            if (expected := counts.get("accidents", {}).get("expected")) is not None:
                total.update(by_chance=expected, estimated=1)
    rows = [
        HeuristicRow(
            arms=arms,
            name=name,
            **{key: total[key] for key in COUNTS},
            by_chance=total["by_chance"] if total["estimated"] else None,
            mean_tokens=total["tokens"] / total["samples"] if total["tokens"] else None,
            mean_arithmetic=total["arithmetic"] / total["calculated"] if total["calculated"] else None,
            mean_adherence=total["adherence"] / total["scored"] if total["scored"] else None,
        )
        for (arms, name), total in totals.items()
    ]
    return sorted(rows, key=lambda row: (row.arms, -row.correct_rate))


def _styles(inputs: ReportInputs, benchmark: str) -> dict[str, dict[str, float]]:
    """Mean share of by_seed style over the seeds of a label; empty where completions have no styles."""
    by_label: dict[str, dict[str, float]] = {}
    for label, seeds in inputs.evaluations.items():
        by_seed = [evaluated.manifest.summary.get("styles", {}).get(benchmark, {}) for evaluated in seeds]
        names = dict.fromkeys(name for styles in by_seed for name in styles)
        if names:
            by_label[label] = {name: sum(styles.get(name, 0.0) for styles in by_seed) / len(by_seed) for name in names}
    return by_label


def _pictures(inputs: ReportInputs) -> Iterator[Picture]:
    """Figures of the entropy and of the schedules, each artifact's once; of several seeds, the first."""
    shown: set[tuple[str, ...]] = set()
    for manifest in inputs.provenance.manifests:
        arms = tuple(sorted({entry.label for entry in inputs.provenance.entries_of[manifest.ref]}))
        if manifest.kind not in PICTURES or (manifest.kind, *arms) in shown:
            continue
        shown.add((manifest.kind, *arms))
        used_by = "" if manifest.kind == "entropy" else ", ".join(arms)
        yield Picture(PICTURES[manifest.kind], used_by, str(manifest.ref), partial(_drawn, manifest))


def _drawn(manifest: Manifest, narrow: bool) -> Any:
    if manifest.kind == "entropy":
        return histogram_figure(manifest.summary["histogram"], NARROW if narrow else WIDTH)
    return schedule_figure(manifest.summary, ScheduleConfig.model_validate(manifest.payload["config"]), narrow)
