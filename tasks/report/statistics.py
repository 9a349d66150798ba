"""From counts per question to scores of a label over its seeds, and to comparisons of two labels.

The question is the unit: values are averaged over seeds first, and intervals are over questions. Seeds of one question
are not independent, so they must not make an interval narrower than the questions allow.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.report.collect import Evaluated, same_questions
from tasks.report.config import ReportConfig
from tasks.shared.statistics.bootstrap import Interval, bootstrap_mean, mean_over_seeds, seed_spread
from tasks.shared.statistics.paired import Paired, compare_paired
from tasks.shared.statistics.passk import pass_at_k

GREEDY = "greedy"


@dataclass(frozen=True)
class Score:
    """One metric of one label on one benchmark."""

    interval: Interval
    by_seed: dict[int, float]
    spread: float | None
    """Standard deviation over seeds; None for a single one."""


def ks(samples: int) -> tuple[int, ...]:
    """The k of pass@k curves: powers of two up to the number of samples."""
    return tuple(1 << power for power in range(samples.bit_length()))


def headline_metrics(samples: int, greedy: bool) -> tuple[str, ...]:
    """Metrics of the main table: greedy, pass@1, pass@8 and the largest k."""
    shown = sorted({1, min(8, ks(samples)[-1]), ks(samples)[-1]})
    return ((GREEDY,) if greedy else ()) + tuple(f"pass@{k}" for k in shown)


def values(evaluated: Evaluated, benchmark: str, metric: str) -> np.ndarray:
    """A metric per question, shape (questions,)."""
    scores = evaluated.benchmarks[benchmark]
    if metric == GREEDY:
        if scores.greedy is None:
            raise ValueError(f"{benchmark}: {evaluated.entry.role} has no greedy completions; set evaluate.greedy")
        return scores.greedy
    return pass_at_k(scores.samples, scores.correct, int(metric.removeprefix("pass@")))


def over_seeds(seeds: Sequence[Evaluated], benchmark: str, metric: str) -> np.ndarray:
    """A metric per question, mean over the seeds of a label, shape (questions,)."""
    same_questions(benchmark, seeds)
    return mean_over_seeds([values(evaluated, benchmark, metric) for evaluated in seeds])


def score(config: ReportConfig, seeds: Sequence[Evaluated], benchmark: str, metric: str) -> Score:
    """Mean over seeds and questions, with an interval over questions."""
    interval = bootstrap_mean(
        over_seeds(seeds, benchmark, metric),
        confidence=config.confidence,
        resamples=config.resamples,
        seed=config.seed,
    )
    each = [values(evaluated, benchmark, metric) for evaluated in seeds]
    by_seed = {evaluated.entry.seed: float(found.mean()) for evaluated, found in zip(seeds, each, strict=True)}
    return Score(interval, by_seed, seed_spread(each) if len(each) > 1 else None)


def compare(
    config: ReportConfig, by_label: dict[str, list[Evaluated]], pair: tuple[str, str], benchmark: str, metric: str
) -> Paired:
    """Paired difference of two labels on the same questions."""
    baseline, candidate = (by_label[label] for label in pair)
    same_questions(benchmark, [*baseline, *candidate])
    return compare_paired(
        over_seeds(baseline, benchmark, metric),
        over_seeds(candidate, benchmark, metric),
        confidence=config.confidence,
        resamples=config.resamples,
        seed=config.seed,
    )
