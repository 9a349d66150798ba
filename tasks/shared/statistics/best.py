"""best@k: how often the best-scored of k samples is right.

Cobbe et al. 2021 (arXiv 2110.14168) let a verifier choose among samples. The estimate is the mean over all subsets of k
of the samples that there are, as pass@k is, and exact: the best of a subset is one of the samples of rank r with the
chance that it holds one of them and none above.
"""

from collections.abc import Sequence
from math import comb

import numpy as np
from numpy.typing import NDArray


def best_ks(samples: int) -> tuple[int, ...]:
    """The k of best@k: powers of two from 2 up to the number of samples, as the best of one is pass@1."""
    return tuple(1 << power for power in range(1, samples.bit_length()))


def best_at_k(
    scores: Sequence[Sequence[float | None]], right: Sequence[Sequence[float]], k: int
) -> NDArray[np.float64]:
    """best@k of each question, shape (questions,).

    Args:
        scores: of each sample of a question; one without a score is behind all others. Equal ones share the win.
        right: 1 where the sample is right, else 0.

    Raises:
        ValueError: k is not in 1..n of a question.
    """
    return np.array([_of_question(one, good, k) for one, good in zip(scores, right, strict=True)])


def _of_question(scores: Sequence[float | None], right: Sequence[float], k: int) -> float:
    n = len(scores)
    if not 1 <= k <= n:
        raise ValueError(f"best@{k} needs at least {k} samples a question; there are n={n}")
    ranks: dict[float, list[float]] = {}
    for score, good in zip(scores, right, strict=True):
        ranks.setdefault(float("-inf") if score is None else score, []).append(good)
    total, below = 0.0, n
    for score in sorted(ranks, reverse=True):
        tied = ranks[score]
        left = below - len(tied)
        chance = (comb(below, k) - comb(left, k)) / comb(n, k)
        total += chance * sum(tied) / len(tied)
        below = left
    return total
