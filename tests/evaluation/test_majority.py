"""maj@k counts classes of equal answers, not strings."""

from itertools import combinations

import numpy as np
import pytest

from tasks.evaluation.majority import answer_key, maj_at_k, vote_classes


@pytest.mark.parametrize("spelling", ["1/2", "0.5", r"\frac12", r"\dfrac{1}{2}", "x = 0.5", "$0.50$"])
def test_spellings_of_a_number_are_one_vote(spelling: str) -> None:
    assert answer_key(spelling) == answer_key("1/2")


def test_spacing_does_not_split_a_vote() -> None:
    assert answer_key(r"\left( 3, \frac{\pi}{2} \right)") == answer_key(r"(3,\frac{\pi}{2})")
    assert answer_key("n+1") != answer_key("n+2")


def test_right_answers_are_one_class_and_missing_ones_do_not_vote() -> None:
    classes = vote_classes(["0.5", None, r"\sin(\pi/6)", "7", "7.0", "8"], [True, False, True, False, False, False])
    assert classes.tolist() == [0, -1, 0, 1, 1, 2]


def brute_force(classes: list[int], k: int) -> float:
    total = 0.0
    subsets = list(combinations(classes, k))
    for subset in subsets:
        votes = [vote for vote in subset if vote >= 0]
        if not votes:
            continue
        counts = np.bincount(votes)
        leaders = np.flatnonzero(counts == counts.max())
        total += (0 in leaders) / len(leaders)
    return total / len(subsets)


@pytest.mark.parametrize("classes", [[0, 0, 1, 1, 2, 3, -1, -1], [1, 1, 0], [-1, -1], [0], [0, 1, 2, -1]])
def test_equals_the_mean_over_subsets(classes: list[int]) -> None:
    for k in range(1, len(classes) + 1):
        value = maj_at_k(np.array(classes), k, seed=3, subsets=40_000)
        assert value == pytest.approx(brute_force(classes, k), abs=0.015)


def test_same_seed_same_value() -> None:
    classes = np.array([0, 0, 1, 1, 2, 3, -1, -1])
    assert maj_at_k(classes, 3, seed=1) == maj_at_k(classes, 3, seed=1)
    assert maj_at_k(np.repeat(classes, 8), 32, seed=1) > 0.3


def test_k_beyond_the_samples_is_refused() -> None:
    with pytest.raises(ValueError, match="maj@4"):
        maj_at_k(np.array([0, 1]), 4, seed=0)
