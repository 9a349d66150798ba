"""Intervals and tests where a document holds several measured positions: the document is the unit that was drawn.

Positions of one document share its subject, its writer and the model's luck with both. An interval that takes them for
independent is too narrow by the square root of 1 + (positions per document - 1) * correlation (Kish 1965, section 5.4;
Miller 2024, arXiv 2411.00640, section 2.2). So whole documents are resampled.

Values come as two arrays of shape (documents, parts): `sums`, what was scored in a document, and `weights`, how much
could have been. A part's score is the ratio of its totals; several parts (tiers) are averaged, each counting the same,
as the paper's tables do.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tasks.shared.statistics.bootstrap import Interval
from tasks.shared.statistics.paired import Paired, minimum_detectable_effect, sign_flip_test
from tasks.shared.statistics.trainings import training_luck, two_sided

_CHUNK_CELLS = 4_000_000
_NOTHING = 1e-9

Array = NDArray[np.float64]


def clustered_draws(sums: ArrayLike, weights: ArrayLike, *, resamples: int, seed: int) -> Array:
    """Scores of `resamples` draws of documents with replacement, shape (resamples,).

    A ratio estimator: a draw's score is drawn sums over drawn weights, so that long documents count for more in it. A
    draw that holds no document of some part has no score, and is NaN.
    """
    top, bottom = _checked(sums, weights)
    documents = len(top)
    random = np.random.default_rng(seed)
    scores = np.empty(resamples)
    chunk = max(1, _CHUNK_CELLS // documents)
    shares = np.full(documents, 1.0 / documents)
    for start in range(0, resamples, chunk):
        stop = min(start + chunk, resamples)
        counts = random.multinomial(documents, shares, size=stop - start)
        with np.errstate(invalid="ignore"):
            scores[start:stop] = (counts @ top / (counts @ bottom)).mean(axis=1)
    return scores


def clustered_mean(
    sums: ArrayLike,
    weights: ArrayLike,
    *,
    confidence: float,
    resamples: int,
    seed: int,
    share: bool = True,
    trainings: Sequence[float] = (),
) -> Interval:
    """Mean over parts of each part's score, with its percentile bootstrap interval over documents.

    Where `trainings` has the score of several trainings, the interval holds their luck too (`training_luck`).

    With `share` the values are shares: where all are 0, or all are 1, the bootstrap would claim certainty, and the far
    bound is the exact binomial one for so many documents (Clopper and Pearson 1934).

    Raises:
        ValueError: a part without weight, negative weights, values that are not finite.
    """
    top, bottom = _checked(sums, weights)
    mean = _score(top, bottom)
    tail = (1.0 - confidence) / 2.0
    if share and (not top.any() or np.array_equal(top, bottom)):
        reach = 1.0 - tail ** (1.0 / np.count_nonzero(bottom.sum(axis=1)))
        return Interval(mean, max(0.0, mean - reach), min(1.0, mean + reach))
    draws = clustered_draws(top, bottom, resamples=resamples, seed=seed)
    draws += training_luck(trainings, resamples=resamples, seed=seed).draws
    low, high = np.nanquantile(draws, [tail, 1.0 - tail])
    return Interval(mean, max(0.0, float(low)), min(1.0, float(high)) if share else float(high))


def compare_clustered(
    a: ArrayLike,
    b: ArrayLike,
    weights: ArrayLike,
    *,
    confidence: float,
    resamples: int,
    seed: int,
    trainings: tuple[Sequence[float], Sequence[float]] = ((), ()),
) -> Paired:
    """Score of b minus score of a at the same positions: interval over documents, sign-flip test over documents.

    Where `trainings` has the score of several trainings of either side, interval and p-value are of documents and
    trainings.

    `a` and `b` are sums of the same positions, so their weights are the same. The test flips the sign of a document's
    whole contribution to the difference: under the null hypothesis it is the label that decides, once a document.

    Raises:
        ValueError: arrays of different shapes, or as `clustered_mean`.
    """
    first, bottom = _checked(a, weights)
    second, _ = _checked(b, weights)
    difference = second - first
    tail = (1.0 - confidence) / 2.0
    luck = training_luck(*trainings, resamples=resamples, seed=seed)
    draws = clustered_draws(difference, bottom, resamples=resamples, seed=seed) + luck.draws
    low, high = np.nanquantile(draws, [tail, 1.0 - tail])
    documents = int(np.count_nonzero(bottom.sum(axis=1)))
    if luck.is_known:
        p_value, exact = two_sided(draws[np.isfinite(draws)]), False
    else:
        p_value, exact = sign_flip_test(_contributions(difference, bottom), resamples=resamples, seed=seed)
    return Paired(
        difference=_score(difference, bottom),
        low=float(low),
        high=float(high),
        p_value=p_value,
        exact=exact,
        minimum_detectable=minimum_detectable_effect(
            _residuals(difference, bottom), alpha=1.0 - confidence, trainings=luck.variance
        ),
        questions=documents,
    )


def _score(sums: Array, weights: Array) -> float:
    return float((sums.sum(axis=0) / weights.sum(axis=0)).mean())


def _contributions(difference: Array, weights: Array) -> Array:
    """Each document's contribution to the difference, in a unit that keeps counts whole, so that the test can be exact.

    Where every part has the same total, contributions are the documents' plain sums of differences.
    """
    totals = weights.sum(axis=0)
    sums = (difference * (totals.max() / totals)).sum(axis=1)
    # Parts that cancel leave a rounding error, which would count as the smallest of differences.
    return np.where(np.abs(sums) < _NOTHING, 0.0, sums)


def _residuals(difference: Array, weights: Array) -> Array:
    """Each document's influence on the ratio, scaled so that the mean over documents has the ratio's standard error."""
    documents = np.count_nonzero(weights.sum(axis=1))
    totals = weights.sum(axis=0)
    ratios = difference.sum(axis=0) / totals
    influence = documents * ((difference - ratios * weights) / totals).mean(axis=1)
    return influence[weights.sum(axis=1) > 0]


def _checked(sums: ArrayLike, weights: ArrayLike) -> tuple[Array, Array]:
    top, bottom = np.asarray(sums, dtype=np.float64), np.asarray(weights, dtype=np.float64)
    if top.ndim == 1:
        top, bottom = top[:, None], bottom[:, None] if bottom.ndim == 1 else bottom
    if top.shape != bottom.shape or top.size == 0:
        raise ValueError(f"sums and weights of each document are needed; got shapes {top.shape} and {bottom.shape}")
    if not (np.isfinite(top).all() and np.isfinite(bottom).all()):
        raise ValueError("sums and weights must be finite")
    if bottom.min() < 0 or not (bottom.sum(axis=0) > 0).all():
        raise ValueError(f"every part needs weight, and none may be negative; totals are {bottom.sum(axis=0).tolist()}")
    return top, bottom
