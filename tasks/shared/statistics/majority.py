"""maj@k: how often the most frequent of k answers is right.

Wang et al. 2022 (arXiv 2203.11171) let the samples of a question vote. The estimate is the mean over subsets of k
of the samples that there are, as pass@k is. Subsets are too many to be listed, so `SUBSETS` of them are drawn for each
question, the same ones each time: unbiased, and on 500 questions the drawing has a standard error below 0.2 points.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

SUBSETS = 200
"""Subsets drawn for each question. Ours."""


def majority_ks(samples: int) -> tuple[int, ...]:
    """The k of maj@k: powers of two from 4 up to the number of samples, as a vote of one or two is pass@1."""
    return tuple(1 << power for power in range(2, samples.bit_length()))


def maj_at_k(n: int, votes: Sequence[ArrayLike], right: Sequence[ArrayLike], k: int) -> NDArray[np.float64]:
    """maj@k of each question, shape (questions,).

    Args:
        n: samples of each question; those in no class have no answer, cast no vote, and are drawn all the same.
        votes: of each question the number of samples in each class of equal answers.
        right: how many of each class were judged right: where the verifier parts the members of a class, the class is
            right by that share.

    Classes with equally many votes share the win. A subset without any answer is wrong.

    Raises:
        ValueError: k is not in 1..n, or a question has more votes than samples.
    """
    if not 1 <= k <= n:
        raise ValueError(f"maj@{k} needs at least {k} samples a question; there are n={n}")
    pairs = zip(votes, right, strict=True)
    return np.array([_win(n, np.asarray(cast), np.asarray(good), k, index) for index, (cast, good) in enumerate(pairs)])


def _win(n: int, cast: NDArray[np.int64], good: NDArray[np.int64], k: int, index: int) -> float:
    """Mean share that right answers have of the win, over drawn subsets of k samples of one question."""
    silent = n - int(cast.sum())
    if silent < 0:
        raise ValueError(f"question {index} has {int(cast.sum())} votes of {n} samples")
    if not good.any():
        return 0.0
    # In one order, whatever order the classes came in, so that the draws are the same.
    order = np.lexsort((good, cast))
    cast, good = cast[order], good[order]
    random = np.random.default_rng((index, k))
    subsets = SUBSETS if k < n else 1
    drawn = random.multivariate_hypergeometric([*cast, silent], k, size=subsets)[:, :-1]
    most = drawn.max(axis=1, keepdims=True)
    winners = (drawn == most) & (most > 0)
    return float((winners @ (good / np.maximum(cast, 1)) / np.maximum(winners.sum(axis=1), 1)).mean())
