"""pass@k from n samples a question, without bias and without a question that quietly has fewer samples.

Chen et al. 2021 (arXiv 2107.03374), equation 1: with c of n samples right, 1 - C(n-c, k) / C(n, k) is the
unbiased estimate of the chance that at least one of k fresh samples is right.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

_NAMED = 10


class SampleCountError(ValueError):
    """A question does not have the number of samples that the estimate was asked for."""


def pass_at_k(n: int, correct: NDArray[np.int64] | Sequence[int], k: int) -> NDArray[np.float64]:
    """Unbiased pass@k of each question, shape (questions,), from counts of right samples out of `n`.

    Uses C(n-c, k) / C(n, k) = prod over j < c of (n-k-j) / (n-j): no binomial coefficient is formed, so
    nothing overflows, and the product is exactly 0 once c > n - k.

    Raises ValueError unless 1 <= k <= n and every count lies in 0..n.
    """
    if not 1 <= k <= n:
        raise ValueError(f"pass@{k} needs at least {k} samples a question; there are n={n}")
    counts = np.asarray(correct, dtype=np.int64)
    if counts.size and (counts.min() < 0 or counts.max() > n):
        raise ValueError(f"counts of right samples must lie in 0..{n}; got {counts.min()}..{counts.max()}")
    steps = np.arange(n, dtype=np.float64)
    factors = np.maximum(n - k - steps, 0.0) / (n - steps)
    all_wrong = np.concatenate(([1.0], np.cumprod(factors)))
    return 1.0 - all_wrong[counts]


def same_reward(n: int, correct: NDArray[np.int64] | Sequence[int], group_size: int) -> NDArray[np.float64]:
    """Chance that a group of fresh samples is all right or all wrong, shape (questions,): it teaches GRPO nothing.

    Unbiased where there are as many samples as the group has; with fewer, the shares of right samples are taken for the
    chances themselves, which overstates it.
    """
    counts = np.asarray(correct, dtype=np.int64)
    if group_size <= n:
        return 2.0 - pass_at_k(n, counts, group_size) - pass_at_k(n, n - counts, group_size)
    share = counts / n
    return share**group_size + (1.0 - share) ** group_size


def seldom_right(n: int, correct: NDArray[np.int64] | Sequence[int], group_size: int) -> NDArray[np.float64]:
    """1 for each question of which a group more likely than not has no right rollout, else 0, shape (questions,).

    The chance of a right sample is then below p*(G) = 1 - 0.5^(1/G); the share of right samples is taken for it.
    """
    return np.asarray(np.asarray(correct, dtype=np.int64) / n < 1.0 - 0.5 ** (1.0 / group_size), dtype=np.float64)


def check_sample_counts(samples: Mapping[str, int], n: int) -> None:
    """Raise SampleCountError, naming questions, unless every question (id to number) has exactly `n` samples.

    Dividing by n regardless, as is sometimes done, turns missing samples into wrong ones.
    """
    off = sorted((question_id, total) for question_id, total in samples.items() if total != n)
    if off:
        named = ", ".join(f"{question_id} has {total}" for question_id, total in off[:_NAMED])
        more = f" and {len(off) - _NAMED} more" if len(off) > _NAMED else ""
        raise SampleCountError(
            f"{len(off)} of {len(samples)} questions do not have exactly {n} samples: {named}{more}; "
            f"generate the missing samples, or evaluate with the number that every question has"
        )
