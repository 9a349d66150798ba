"""Scores of a label over its seeds, and comparisons of two labels.

Of benchmarks the question is the unit, of predictions the document: values are averaged over seeds first, and intervals
are over units and trainings. Seeds of one question are not independent, so they must not make an interval narrower than
the questions allow; and they differ by luck, so their mean is not known better than so few trainings allow.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from tasks.predict.schema import DIRECT, REASONING
from tasks.predict.tally import EXACT, MEAN, Tally
from tasks.report.config import ReportConfig, ReportEntry
from tasks.report.numbers.collect import Evaluated, same_questions
from tasks.report.numbers.inputs import Line
from tasks.report.rows import ACCURACY, ComparisonRow, Metric
from tasks.shared.statistics.best import best_at_k, best_ks
from tasks.shared.statistics.bootstrap import Interval, bootstrap_mean, mean_over_seeds, seed_spread
from tasks.shared.statistics.clustered import Array, clustered_mean, compare_clustered
from tasks.shared.statistics.majority import maj_at_k, majority_ks
from tasks.shared.statistics.paired import Paired, compare_paired, holm
from tasks.shared.statistics.passk import pass_at_k

GREEDY = "greedy"
PART_NAMES = {MEAN: "the mean of the tiers", "easy": "easy tokens", "medium": "medium tokens", "hard": "hard tokens"}


def ks(samples: int) -> tuple[int, ...]:
    """The k of pass@k curves: powers of two up to the number of samples."""
    return tuple(1 << power for power in range(samples.bit_length()))


def headline_metrics(samples: int, greedy: bool) -> tuple[str, ...]:
    """Metrics of the main table: greedy, pass@1, pass@8 and the largest k."""
    shown = sorted({1, min(8, ks(samples)[-1]), ks(samples)[-1]})
    return ((GREEDY,) if greedy else ()) + tuple(f"pass@{k}" for k in shown)


def compared_metrics(samples: int, greedy: bool) -> tuple[str, ...]:
    """Metrics that two models are compared in: those of the main table, and the vote of all samples."""
    return headline_metrics(samples, greedy) + tuple(f"maj@{k}" for k in majority_ks(samples)[-1:])


def every_metric(samples: int, greedy: bool, rewarded: bool) -> tuple[str, ...]:
    """All that is computed: greedy, pass@k and maj@k for every k, and best@k where a reward model scored samples."""
    voted = tuple(f"maj@{k}" for k in majority_ks(samples))
    voted += tuple(f"best@{k}" for k in best_ks(samples)) if rewarded else ()
    return ((GREEDY,) if greedy else ()) + tuple(f"pass@{k}" for k in ks(samples)) + voted


def values(evaluated: Evaluated, benchmark: str, metric: str) -> np.ndarray:
    """A metric per question, shape (questions,)."""
    scores = evaluated.benchmarks[benchmark]
    if metric == GREEDY:
        if scores.greedy is None:
            raise ValueError(
                f"{benchmark}: {evaluated.entry.evaluation} has no greedy completions; set evaluate.greedy"
            )
        return scores.greedy
    kind, k = metric.split("@")
    if kind == "maj":
        return maj_at_k(scores.samples, scores.votes, scores.right_votes, int(k))
    if kind == "best":
        return best_at_k(scores.rewards, scores.right_rewarded, int(k))
    return pass_at_k(scores.samples, scores.correct, int(k))


def over_seeds(seeds: Sequence[Evaluated], benchmark: str, metric: str) -> np.ndarray:
    """A metric per question, mean over the seeds of a label, shape (questions,)."""
    same_questions(benchmark, seeds)
    return mean_over_seeds([values(evaluated, benchmark, metric) for evaluated in seeds])


def score(config: ReportConfig, seeds: Sequence[Evaluated], benchmark: str, metric: str) -> Metric:
    """Mean over seeds and questions, with an interval over questions and trainings."""
    by_seed = _by_seed(seeds, benchmark, metric)
    mean = over_seeds(seeds, benchmark, metric)
    return _metric(bootstrap_mean(mean, **config.bootstrap, trainings=list(by_seed.values())), by_seed)


def _by_seed(seeds: Sequence[Evaluated], benchmark: str, metric: str) -> dict[int, float]:
    return {seed.entry.seed: float(values(seed, benchmark, metric).mean()) for seed in seeds}


def fewest_trainings(*sides: Sequence[ReportEntry]) -> int:
    """Trainings of the label that has the fewest; 0 where neither was trained."""
    return min((len(entries) for entries in sides if entries[0].is_trained), default=0)


def compare(
    config: ReportConfig, by_label: Mapping[str, list[Evaluated]], pair: tuple[str, str], benchmark: str, metric: str
) -> ComparisonRow:
    """Paired difference of two labels, baseline and candidate, on the same questions."""
    sides = [by_label[label] for label in pair]
    same_questions(benchmark, [*sides[0], *sides[1]])
    before, after = (list(_by_seed(side, benchmark, metric).values()) for side in sides)
    means = (over_seeds(side, benchmark, metric) for side in sides)
    result = compare_paired(*means, **config.bootstrap, trainings=(before, after))
    names = {"baseline": pair[0], "candidate": pair[1], "benchmark": benchmark, "metric": metric}
    trainings = fewest_trainings(*([seed.entry for seed in side] for side in sides))
    return ComparisonRow.of(result, config.confidence, trainings, **names)


def over_benchmarks(rows: Sequence[ComparisonRow]) -> list[ComparisonRow]:
    """The rows with p-values corrected over the benchmarks that a pair is compared on in one metric.

    Metrics of the same answers are not corrected for one another, nor are the tiers of next-token predictions, which
    are parts of one measurement.
    """
    families: dict[tuple[str, str, str], list[int]] = {}
    for index, row in enumerate(rows):
        families.setdefault((row.baseline, row.candidate, row.metric), []).append(index)
    corrected = list(rows)
    for family in (family for family in families.values() if len(family) > 1):
        for index, p_value in zip(family, holm([rows[index].p_value for index in family]), strict=True):
            corrected[index] = rows[index].model_copy(update={"adjusted_p": p_value})
    return corrected


def accuracy(config: ReportConfig, line: Line, mode: str, rule: str) -> dict[str, Metric]:
    """Accuracy by tier and their mean: mean over seeds, interval over documents and trainings."""

    def right(tally: Tally) -> Array:
        return tally.right[mode, rule]

    return {part: _over_documents(config, line, right, part, share=True) for part in line.tally.parts}


def reasoning_tokens(config: ReportConfig, line: Line) -> Metric:
    """Mean length of the reasoning over the tiers, tokens."""
    return _over_documents(config, line, _lengths, MEAN, share=False)


def compare_predictions(config: ReportConfig, lines: Mapping[str, Line]) -> Iterator[ComparisonRow]:
    """Every comparison of predictions that the configuration asks for, by part."""
    for base, label in config.comparisons:
        if base in lines and label in lines:
            yield from (compare_accuracy(config, lines[base], lines[label], part) for part in lines[label].tally.parts)
    for base, label in config.against_direct:
        for part in lines[label].tally.parts:
            yield compare_accuracy(config, lines[base], lines[label], part, baseline_mode=DIRECT)


def compare_accuracy(
    config: ReportConfig, baseline: Line, candidate: Line, part: str, *, baseline_mode: str = REASONING
) -> ComparisonRow:
    """Accuracy of the candidate with reasoning minus that of the baseline, at the same positions."""
    result = _paired(
        config,
        (baseline, lambda tally: tally.right[baseline_mode, EXACT]),
        (candidate, lambda tally: tally.right[REASONING, EXACT]),
        part,
    )
    base = baseline.label + (" without reasoning" if baseline_mode == DIRECT else "")
    names = {"baseline": base, "candidate": candidate.label, "benchmark": PART_NAMES[part], "metric": ACCURACY}
    return ComparisonRow.of(result, config.confidence, trainings_of(baseline, candidate), **names)


def trainings_of(*lines: Line) -> int:
    """`fewest_trainings` of lines of predictions."""
    return fewest_trainings(*([seed.entry for seed in line.seeds] for line in lines))


def compare_lengths(config: ReportConfig, baseline: Line, candidate: Line) -> Paired:
    """Tokens of reasoning of the candidate minus those of the baseline, mean of the tiers."""
    return _paired(config, (baseline, _lengths), (candidate, _lengths), MEAN)


def _paired(
    config: ReportConfig,
    before: tuple[Line, Callable[[Tally], Array]],
    after: tuple[Line, Callable[[Tally], Array]],
    part: str,
) -> Paired:
    columns = before[0].tally.columns(part)
    weights = before[0].tally.weights[:, columns]
    a, b = (line.mean(values_of)[:, columns] for line, values_of in (before, after))
    trainings = tuple(list(_by_seed_of(line, values_of, part).values()) for line, values_of in (before, after))
    return compare_clustered(a, b, weights, **config.bootstrap, trainings=(trainings[0], trainings[1]))


def _by_seed_of(line: Line, values_of: Callable[[Tally], Array], part: str) -> dict[int, float]:
    columns = line.tally.columns(part)
    totals = line.tally.weights[:, columns].sum(axis=0)
    sums = {seed.entry.seed: values_of(seed.tally)[:, columns].sum(axis=0) for seed in line.seeds}
    return {seed: float((total / totals).mean()) for seed, total in sums.items()}


def _over_documents(
    config: ReportConfig, line: Line, values_of: Callable[[Tally], Array], part: str, *, share: bool
) -> Metric:
    columns = line.tally.columns(part)
    weights, by_seed = line.tally.weights[:, columns], _by_seed_of(line, values_of, part)
    interval = clustered_mean(
        line.mean(values_of)[:, columns], weights, share=share, trainings=list(by_seed.values()), **config.bootstrap
    )
    return _metric(interval, by_seed)


def _lengths(tally: Tally) -> Array:
    return tally.lengths


def _metric(interval: Interval, by_seed: dict[int, float]) -> Metric:
    spread = seed_spread([[mean] for mean in by_seed.values()]) if len(by_seed) > 1 else None
    return Metric(mean=interval.mean, low=interval.low, high=interval.high, by_seed=by_seed, spread=spread)
