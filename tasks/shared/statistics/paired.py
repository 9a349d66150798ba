"""Compare two models on the same questions: the difference, its interval, an exact test, and what could be
seen at all.

Questions differ far more in difficulty than models do in skill. On the same questions that common part
cancels, so the paired difference is several times sharper than two separate intervals (Miller 2024, arXiv
2411.00640, section 4).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.shared.statistics.bootstrap import bootstrap_draws
from tasks.shared.statistics.trainings import training_luck, two_sided

_MAX_DENOMINATOR = 512
_CONVOLUTION_CELLS = 100_000_000
_CHUNK_CELLS = 4_000_000


@dataclass(frozen=True)
class Paired:
    """Model b minus model a, in the mean over the same questions."""

    difference: float
    low: float
    high: float
    p_value: float
    """Two-sided: of `sign_flip_test`; where there are several trainings, of the draws over both levels."""
    exact: bool
    """Whether the p-value was computed, not sampled."""
    minimum_detectable: float
    """Smallest true difference that this many questions and trainings would show with 80 % power."""
    questions: int


def compare_paired(
    a: ArrayLike,
    b: ArrayLike,
    *,
    confidence: float,
    resamples: int,
    seed: int,
    trainings: tuple[Sequence[float], Sequence[float]] = ((), ()),
) -> Paired:
    """Mean of b - a over questions with a percentile bootstrap interval over questions and a sign-flip test.

    `a` and `b` have shape (questions,) in the same order: greedy correctness, pass@k of each question, or a
    mean over seeds. Where `trainings` has the mean score of several trainings of either side, interval and p-value are
    of questions and trainings. Raises ValueError for arrays of different lengths.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape:
        raise ValueError(f"both models need a value for each question; got {first.shape} and {second.shape}")
    differences = second - first
    tail = (1.0 - confidence) / 2.0
    luck = training_luck(*trainings, resamples=resamples, seed=seed)
    draws = bootstrap_draws(differences, resamples=resamples, seed=seed) + luck.draws
    low, high = np.quantile(draws, [tail, 1.0 - tail])
    if luck.is_known:
        p_value, exact = two_sided(draws), False
    else:
        p_value, exact = sign_flip_test(differences, resamples=resamples, seed=seed)
    return Paired(
        difference=float(differences.mean()),
        low=float(low),
        high=float(high),
        p_value=p_value,
        exact=exact,
        minimum_detectable=minimum_detectable_effect(differences, alpha=1.0 - confidence, trainings=luck.variance),
        questions=differences.size,
    )


def sign_flip_test(differences: ArrayLike, *, resamples: int, seed: int) -> tuple[float, bool]:
    """Two-sided p-value of "the sign of each question's difference is a coin flip", and whether it is exact.

    Under the null hypothesis that the models are exchangeable on each question, every sign pattern of the
    differences is equally likely (Fisher 1935, chapter 3). Where all differences are multiples of one step
    1/m (greedy: 1; n samples: 1/n; s seeds: 1/(n s)), the distribution of their sum is computed exactly, by
    convolution. Otherwise signs are drawn, and the p-value is (1 + hits) / (1 + draws), which is never 0
    (Phipson and Smyth 2010).
    """
    data = np.asarray(differences, dtype=np.float64)
    sizes, observed = np.abs(data[data != 0.0]), abs(float(data.sum()))
    if sizes.size == 0:
        return 1.0, True
    steps = _as_integers(sizes)
    if steps is not None:
        return _exact_tail(steps, round(observed * steps.sum() / sizes.sum())), True
    random = np.random.default_rng(seed)
    hits = 0
    chunk = max(1, _CHUNK_CELLS // sizes.size)
    for start in range(0, resamples, chunk):
        signs = random.integers(0, 2, size=(min(chunk, resamples - start), sizes.size)) * 2 - 1
        hits += int((np.abs(signs @ sizes) >= observed * (1 - 1e-12)).sum())
    return (1 + hits) / (1 + resamples), False


def _as_integers(sizes: NDArray[np.float64]) -> NDArray[np.int64] | None:
    """The sizes as multiples of their common step 1/m, where m <= 512 and the convolution is affordable."""
    for denominator in range(1, _MAX_DENOMINATOR + 1):
        scaled = sizes * denominator
        whole = np.rint(scaled)
        if np.abs(scaled - whole).max() < 1e-6 and whole.min() >= 1:
            steps = whole.astype(np.int64)
            return steps if steps.sum() * steps.size <= _CONVOLUTION_CELLS else None
    return None


def _exact_tail(steps: NDArray[np.int64], observed: int) -> float:
    """P(|sum of randomly signed steps| >= observed), by adding one question at a time to the distribution."""
    reach = int(steps.sum())
    distribution = np.zeros(2 * reach + 1)
    distribution[reach] = 1.0
    for step in steps.tolist():
        moved = np.zeros_like(distribution)
        moved[step:] += 0.5 * distribution[:-step]
        moved[:-step] += 0.5 * distribution[step:]
        distribution = moved
    sums = np.abs(np.arange(-reach, reach + 1))
    return float(min(1.0, distribution[sums >= observed].sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number, in their order: whoever calls those up to alpha significant is wrong about
    any of them with a chance of at most alpha, however the tests hang together (Holm 1979).
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda index: p_values[index])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def minimum_detectable_effect(
    differences: ArrayLike, *, alpha: float = 0.05, power: float = 0.8, trainings: float = 0.0
) -> float:
    """Smallest true mean difference that a two-sided test at `alpha` finds with the given power, on this
    many questions.

    (z(1 - alpha/2) + z(power)) * the standard error, sd(differences) / sqrt(questions); Miller 2024 (arXiv
    2411.00640), section 5. `trainings` is the squared standard error of the trainings. NaN for fewer than two
    questions.
    """
    data = np.asarray(differences, dtype=np.float64)
    if data.size < 2:
        return float("nan")
    normal = NormalDist()
    z = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(power)
    return float(z * math.sqrt(data.var(ddof=1) / data.size + trainings))
