"""Intervals over questions: the question is the unit that was drawn, its samples and seeds are not
independent.

Resampling single samples would treat 64 answers to one question as 64 questions and give an interval
several times too narrow (Miller 2024, arXiv 2411.00640, section 2.2). So the bootstrap draws whole
questions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.shared.statistics.trainings import training_luck

_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean over questions with the bounds of its interval."""

    mean: float
    low: float
    high: float


def bootstrap_draws(values: ArrayLike, *, resamples: int, seed: int) -> NDArray[np.float64]:
    """Means of `resamples` bootstrap draws of questions; `values` has shape (questions,), the result
    (resamples,).

    A draw of Q questions with replacement is a multinomial vector of Q counts, so a draw's mean is one dot
    product. The same seed gives the same draws for every array of the same length, on every machine with
    the same numpy.
    """
    data = _checked(values)
    questions = data.size
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    chunk = max(1, _CHUNK_CELLS // questions)
    shares = np.full(questions, 1.0 / questions)
    for start in range(0, resamples, chunk):
        stop = min(start + chunk, resamples)
        means[start:stop] = random.multinomial(questions, shares, size=stop - start) @ data / questions
    return means


def bootstrap_mean(
    values: ArrayLike, *, confidence: float, resamples: int, seed: int, trainings: Sequence[float] = ()
) -> Interval:
    """Mean of one value in [0, 1] for each question, with its percentile bootstrap interval over questions.

    Args:
        values: of several trainings, their mean for each question (`mean_over_seeds`).
        trainings: the mean score of each training, so that the interval holds their luck too (`training_luck`).

    Efron and Tibshirani 1993, chapter 13. Where every question has the same value 0 (or 1) the bootstrap
    has no spread and would claim certainty; then the far bound is the exact binomial one, 1 -
    (alpha/2)^(1/Q) (Clopper and Pearson 1934). The percentile interval is a little too narrow below about
    50 questions: AIME has 30.

    Raises ValueError for no questions, for values that are not finite or not one-dimensional.
    """
    data = _checked(values)
    tail = (1.0 - confidence) / 2.0
    mean = float(data.mean())
    if data.min() == data.max() and mean in (0.0, 1.0):
        reach = 1.0 - tail ** (1.0 / data.size)
        return Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach))
    draws = bootstrap_draws(data, resamples=resamples, seed=seed)
    draws += training_luck(trainings, resamples=resamples, seed=seed).draws
    low, high = np.clip(np.quantile(draws, [tail, 1.0 - tail]), 0.0, 1.0)
    return Interval(mean, float(low), float(high))


def mean_over_seeds(values_by_seed: Sequence[ArrayLike]) -> NDArray[np.float64]:
    """Mean over training seeds for each question, shape (questions,), from one array of questions for each
    seed.

    The result goes into `bootstrap_mean` or `paired.compare_paired`: one question answered by several seeds
    stays one unit. What the choice of seeds adds is `trainings.training_luck`.

    Raises ValueError where the seeds do not have the same number of questions.
    """
    rows = [_checked(values) for values in values_by_seed]
    if len({row.size for row in rows}) != 1:
        raise ValueError(f"seeds have different numbers of questions: {[row.size for row in rows]}")
    return np.mean(rows, axis=0)


def seed_spread(values_by_seed: Sequence[ArrayLike]) -> float:
    """Standard deviation (n - 1) of the mean score over training seeds; NaN for a single seed, which shows
    none.
    """
    means = [float(_checked(values).mean()) for values in values_by_seed]
    return float(np.std(means, ddof=1)) if len(means) > 1 else float("nan")


def _checked(values: ArrayLike) -> NDArray[np.float64]:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim != 1 or data.size == 0:
        raise ValueError(f"one value for each question is needed; got an array of shape {data.shape}")
    if not np.isfinite(data).all():
        raise ValueError(f"{int((~np.isfinite(data)).sum())} of {data.size} values are not finite")
    return data
