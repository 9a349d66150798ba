"""best@k against its definition, with ties and without scores, and its intervals by simulation."""

from itertools import combinations

import numpy as np
import pytest

from tasks.shared.statistics.best import best_at_k, best_ks
from tasks.shared.statistics.bootstrap import bootstrap_mean
from tasks.shared.statistics.passk import pass_at_k


def brute_force(scores: list[float | None], right: list[int], k: int) -> float:
    """Mean over all subsets of k of the share of right ones among its best."""
    ranked = [float("-inf") if score is None else score for score in scores]
    wins = []
    for subset in combinations(range(len(scores)), k):
        best = [index for index in subset if ranked[index] == max(ranked[other] for other in subset)]
        wins.append(sum(right[index] for index in best) / len(best))
    return sum(wins) / len(wins)


@pytest.mark.parametrize(
    ("scores", "right"),
    [
        ([0.1, 0.9, 0.5, -2.0, 0.7, 0.3], [1, 0, 1, 1, 0, 0]),
        ([0.5, 0.5, 0.5, 0.1, 0.1, 0.9], [1, 0, 0, 1, 0, 0]),
        ([None, 0.2, None, 0.2, -5.0, None], [1, 1, 0, 0, 1, 1]),
        ([None] * 4, [1, 0, 0, 0]),
    ],
)
def test_equals_the_share_of_subsets_whose_best_is_right(scores: list[float | None], right: list[int]) -> None:
    for k in range(1, len(scores) + 1):
        assert best_at_k([scores], [right], k)[0] == pytest.approx(brute_force(scores, right, k))


def test_the_best_of_one_is_pass_at_1_and_a_perfect_model_reaches_pass_at_k() -> None:
    right = np.random.default_rng(0).integers(0, 2, (50, 8))
    correct = right.sum(axis=1)
    blind = np.random.default_rng(1).random((50, 8)).tolist()
    np.testing.assert_allclose(best_at_k(blind, right.tolist(), 1), pass_at_k(8, correct, 1))
    np.testing.assert_allclose(best_at_k(right.tolist(), right.tolist(), 4), pass_at_k(8, correct, 4))
    assert (best_ks(1), best_ks(6), best_ks(8)) == ((), (2, 4), (2, 4, 8))


def test_more_than_there_is_is_refused() -> None:
    with pytest.raises(ValueError, match=r"best@4 needs at least 4 samples a question; there are n=3"):
        best_at_k([[1.0, 2.0, 3.0]], [[1, 0, 0]], 4)


def test_its_95_percent_interval_covers_95_percent() -> None:
    """A reward model that prefers right samples by one of its standard deviations; the truth is that of 20,000."""
    random = np.random.default_rng(5)

    def drawn(questions: int) -> np.ndarray:
        chance = random.beta(1.5, 1.5, (questions, 1))
        right = (random.random((questions, 8)) < chance).astype(int)
        return best_at_k((right + random.normal(size=right.shape)).tolist(), right.tolist(), 4)

    truth = drawn(20_000).mean()
    runs = [bootstrap_mean(drawn(60), confidence=0.95, resamples=400, seed=run) for run in range(300)]
    assert 0.92 <= np.mean([run.low <= truth <= run.high for run in runs]) <= 0.98
