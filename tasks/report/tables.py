"""From gathered material to the report's numbers and warnings."""

import math
from collections.abc import Iterator, Mapping, Sequence

from tasks.report.collect import Evaluated, benchmarks
from tasks.report.material import Material
from tasks.report.statistics import GREEDY, compare, headline_metrics, ks, score
from tasks.report.summary import ComparisonRow, HeuristicRow, Metric, ModelRow, ReportSummary

FEW_QUESTIONS = 50
MUCH_TRUNCATED = 0.05
MUCH_UNPARSED = 0.2
ONE_SEED = (
    "One training seed: the intervals cover the choice of questions and not the luck of training. "
    "Compare several seeds to see both."
)


def summarise(material: Material, store_link: str) -> ReportSummary:
    """All numbers of a report; `store_link` is put before the store's paths in links."""
    config = material.config
    every = [evaluated for several in material.by_label.values() for evaluated in several]
    shared = benchmarks(every)
    models = [row for benchmark in shared for row in _models(material, benchmark)]
    return ReportSummary(
        title=config.title,
        recipe=config.recipe,
        base_model=material.provenance.base_model,
        notes=list(config.notes),
        warnings=[*_warnings(material, models, shared)],
        confidence=config.confidence,
        models=models,
        comparisons=[
            row for pair in config.comparisons for name in shared for row in _comparisons(material, pair, name)
        ],
        heuristics=_heuristics(material),
        stages=material.provenance.stages(store_link),
        styles={name: styles for name in shared if (styles := _styles(material, name))},
        finished=max(manifest.created_at for manifest in material.provenance.manifests),
        commits=material.provenance.commits,
        versions=material.provenance.versions,
    )


def _models(material: Material, benchmark: str) -> Iterator[ModelRow]:
    for label, seeds in material.by_label.items():
        scores = seeds[0].benchmarks[benchmark]
        has_greedy = all(evaluated.benchmarks[benchmark].greedy is not None for evaluated in seeds)
        names = ((GREEDY,) if has_greedy else ()) + tuple(f"pass@{k}" for k in ks(scores.samples))
        yield ModelRow(
            label=label,
            checkpoint=seeds[0].entry.checkpoint,
            benchmark=benchmark,
            seeds=[evaluated.entry.seed for evaluated in seeds],
            questions=len(scores.ids),
            samples=scores.samples,
            metrics={name: _metric(material, seeds, benchmark, name) for name in names},
            headline=list(headline_metrics(scores.samples, has_greedy)),
            mean_tokens=_mean_of(seeds, benchmark, "mean_tokens"),
            truncated_share=_mean_of(seeds, benchmark, "truncated_share"),
            unparsed_share=_mean_of(seeds, benchmark, "unparsed_share"),
        )


def _metric(material: Material, seeds: Sequence[Evaluated], benchmark: str, name: str) -> Metric:
    found = score(material.config, seeds, benchmark, name)
    interval = found.interval
    bounds = {"mean": interval.mean, "low": interval.low, "high": interval.high}
    return Metric(**bounds, by_seed=found.by_seed, spread=found.spread)


def _mean_of(seeds: Sequence[Evaluated], benchmark: str, key: str) -> float | None:
    found = [evaluated.manifest.summary.get("scores", {}).get(benchmark, {}).get(key) for evaluated in seeds]
    return None if None in found else sum(found) / len(found)


def _comparisons(material: Material, pair: tuple[str, str], benchmark: str) -> Iterator[ComparisonRow]:
    both = [evaluated.benchmarks[benchmark] for label in pair for evaluated in material.by_label[label]]
    for metric in headline_metrics(both[0].samples, all(scores.greedy is not None for scores in both)):
        result = compare(material.config, material.by_label, pair, benchmark, metric)
        detectable = result.minimum_detectable
        yield ComparisonRow(
            baseline=pair[0],
            candidate=pair[1],
            benchmark=benchmark,
            metric=metric,
            difference=result.difference,
            low=result.low,
            high=result.high,
            p_value=result.p_value,
            minimum_detectable=detectable if math.isfinite(detectable) and detectable > 0 else None,
            confidence=material.config.confidence,
        )


def _heuristics(material: Material) -> list[HeuristicRow]:
    """Counts of each heuristic, summed over the seeds of the arms that share it."""
    totals: dict[tuple[str, str], dict[str, float]] = {}
    for manifest in material.provenance.manifests:
        if manifest.kind != "filtered":
            continue
        arms = ", ".join(sorted({entry.arm for entry in material.provenance.entries_of[manifest.ref] if entry.arm}))
        for name, counts in manifest.summary.get("heuristics", {}).items():
            total = totals.setdefault(
                (arms, name), dict.fromkeys(("samples", "correct", "kept", "adherence", "scored"), 0)
            )
            for key in ("samples", "correct", "kept"):
                total[key] += counts[key]
            adherence = counts.get("adherence")
            total["adherence"] += 0.0 if adherence is None else adherence * counts["correct"]
            total["scored"] += 0 if adherence is None else counts["correct"]
    rows = [_heuristic(arms, name, total) for (arms, name), total in totals.items()]
    return sorted(rows, key=lambda row: (row.arms, -row.correct_rate))


def _heuristic(arms: str, name: str, total: Mapping[str, float]) -> HeuristicRow:
    return HeuristicRow(
        arms=arms,
        name=name,
        samples=int(total["samples"]),
        correct=int(total["correct"]),
        kept=int(total["kept"]),
        mean_adherence=total["adherence"] / total["scored"] if total["scored"] else None,
    )


def _styles(material: Material, benchmark: str) -> dict[str, dict[str, float]]:
    """Mean share of each style over the seeds of a label; empty where completions have no styles."""
    found: dict[str, dict[str, float]] = {}
    for label, seeds in material.by_label.items():
        each = [evaluated.manifest.summary.get("styles", {}).get(benchmark, {}) for evaluated in seeds]
        names = dict.fromkeys(name for styles in each for name in styles)
        if names:
            found[label] = {name: sum(styles.get(name, 0.0) for styles in each) / len(each) for name in names}
    return found


def _warnings(material: Material, models: Sequence[ModelRow], shared: Sequence[str]) -> Iterator[str]:
    config = material.config
    if config.comparisons and len({entry.seed for entry in config.entries if entry.arm}) == 1:
        yield ONE_SEED
    every = {name for several in material.by_label.values() for item in several for name in item.benchmarks}
    if left_out := sorted(every - set(shared)):
        yield f"Not every model was measured on {', '.join(left_out)}; left out of the tables."
    for row in models:
        where = f"{row.label} on {row.benchmark}"
        if row.questions < FEW_QUESTIONS and row.label == models[0].label:
            yield f"{row.benchmark} has {row.questions} questions: its intervals are rough."
        if (row.truncated_share or 0) > MUCH_TRUNCATED:
            yield f"{where}: {row.truncated_share:.0%} of the samples were cut at the token limit and count as wrong."
        if (row.unparsed_share or 0) > MUCH_UNPARSED:
            yield f"{where}: no answer could be read from {row.unparsed_share:.0%} of the samples; they count as wrong."
    yield from material.provenance.warnings()
