"""maj@k against its definition, with ties and without answers, and its intervals by simulation."""

from itertools import combinations

import numpy as np
import pytest

from tasks.shared.statistics.bootstrap import bootstrap_mean
from tasks.shared.statistics.majority import SUBSETS, maj_at_k, majority_ks


def brute_force(votes: list[int], right: list[int], silent: int, k: int) -> float:
    """Share of the k-subsets whose most frequent answer is right; equally frequent ones share the win."""
    samples = [index for index, count in enumerate(votes) for _ in range(count)] + [-1] * silent
    shares = []
    for subset in combinations(samples, k):
        cast = np.bincount([vote for vote in subset if vote >= 0], minlength=len(votes))
        winners = np.flatnonzero((cast == cast.max()) & (cast > 0))
        shares.append(sum(right[index] / votes[index] for index in winners) / max(1, len(winners)))
    return float(np.mean(shares))


@pytest.mark.parametrize(
    ("votes", "right", "silent"),
    [
        ([4, 2, 2], [4, 0, 0], 0),
        ([2, 3, 1], [2, 0, 0], 2),
        ([3, 3], [3, 0], 2),
        ([3, 3, 2], [2, 0, 2], 0),
        ([1], [1], 7),
    ],
    ids=["a clear winner", "a wrong winner", "a tie", "a class that the verifier parts", "one answer"],
)
def test_equals_the_share_of_subsets_that_vote_right(votes: list[int], right: list[int], silent: int) -> None:
    n = sum(votes) + silent
    # The same question often: drawing subsets is unbiased.
    for k in (2, 4, 5, n):
        found = maj_at_k(n, [votes] * 100, [right] * 100, k)
        spread = 0.5 / np.sqrt(SUBSETS * 100)
        assert found.mean() == pytest.approx(brute_force(votes, right, silent, k), abs=4 * spread)


def test_all_samples_vote_once_and_exactly() -> None:
    found = maj_at_k(8, [[4, 4], [5, 3], [], [8]], [[4, 0], [0, 3], [], [8]], 8)
    np.testing.assert_array_equal(found, [0.5, 0.0, 0.0, 1.0])


def test_a_vote_of_two_is_pass_at_1() -> None:
    """So tables begin at four."""
    found = maj_at_k(8, [[4, 2, 2]] * 200, [[4, 0, 0]] * 200, 2)
    assert found.mean() == pytest.approx(0.5, abs=0.01)
    assert (majority_ks(2), majority_ks(6), majority_ks(64)) == ((), (4,), (4, 8, 16, 32, 64))


def test_the_same_subsets_are_drawn_each_time() -> None:
    votes, right = [[4, 2, 2], [3, 3, 2]], [[4, 0, 0], [0, 0, 2]]
    np.testing.assert_array_equal(maj_at_k(8, votes, right, 4), maj_at_k(8, votes, right, 4))


@pytest.mark.parametrize(("k", "votes"), [(9, [8]), (0, [8]), (4, [9])])
def test_more_than_there_is_is_refused(k: int, votes: list[int]) -> None:
    with pytest.raises(ValueError, match=r"needs at least|votes of 8 samples"):
        maj_at_k(8, [votes], [votes], k)


def test_its_95_percent_interval_covers_95_percent() -> None:
    """Questions whose right answer meets one wrong rival: the true maj@4 is that of endless many questions."""

    def drawn(random: np.random.Generator, questions: int) -> np.ndarray:
        right = random.binomial(8, random.beta(1, 1, questions))
        return maj_at_k(8, np.stack([right, 8 - right], axis=1), np.stack([right, 0 * right], axis=1), 4)

    random, runs = np.random.default_rng(0), 100
    intervals = [bootstrap_mean(drawn(random, 60), confidence=0.95, resamples=400, seed=run) for run in range(runs)]
    # By symmetry.
    covered = sum(interval.low <= 0.5 <= interval.high for interval in intervals) / runs
    assert 0.88 <= covered <= 1.0
