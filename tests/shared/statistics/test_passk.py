"""pass@k against its definition, and the refusal to score questions with missing samples."""

import math
from itertools import combinations

import numpy as np
import pytest

from tasks.shared.statistics.passk import SampleCountError, check_sample_counts, pass_at_k, same_reward, seldom_right


def brute_force(n: int, c: int, k: int) -> float:
    """Share of the k-subsets of n samples, c of them right, that hold a right one."""
    subsets = list(combinations(range(n), k))
    return sum(any(i < c for i in subset) for subset in subsets) / len(subsets)


@pytest.mark.parametrize("n", [1, 2, 5, 8])
def test_equals_the_share_of_subsets(n: int) -> None:
    for k in range(1, n + 1):
        expected = [brute_force(n, c, k) for c in range(n + 1)]
        np.testing.assert_allclose(pass_at_k(n, np.arange(n + 1), k), expected, atol=1e-12)


def test_pass_at_1_is_the_mean_whatever_n_is() -> None:
    for n in (8, 16, 64):
        assert pass_at_k(n, [n // 4], 1)[0] == pytest.approx(0.25)


@pytest.mark.parametrize(("n", "group"), [(5, 2), (8, 4), (8, 8)])
def test_a_group_of_one_reward_is_counted_in_subsets(n: int, group: int) -> None:
    for correct in range(n + 1):
        subsets = list(combinations(range(n), group))
        alike = sum(len({i < correct for i in subset}) == 1 for subset in subsets) / len(subsets)
        assert same_reward(n, [correct], group)[0] == pytest.approx(alike)


def test_with_fewer_samples_than_a_group_has_their_share_is_the_chance() -> None:
    np.testing.assert_allclose(same_reward(4, [0, 1, 4], 8), [1.0, 0.25**8 + 0.75**8, 1.0])


@pytest.mark.parametrize("group", [4, 16])
def test_a_question_is_seldom_right_where_most_groups_have_no_right_rollout(group: int) -> None:
    n = 1000
    counts = np.arange(n + 1)
    none_right = (1 - counts / n) ** group
    assert seldom_right(n, counts, group).tolist() == (none_right > 0.5).astype(float).tolist()


def test_stable_where_binomials_overflow() -> None:
    n, k, counts = 4096, 1024, [0, 1, 2, 3000, 3072, 3073]
    exact = [1 - math.comb(n - c, k) / math.comb(n, k) for c in (1, 2)]
    values = pass_at_k(n, counts, k)
    assert np.isfinite(values).all()
    np.testing.assert_allclose(values[1:3], exact, rtol=1e-12)
    assert values[0] == 0.0
    assert values[5] == 1.0


def test_no_questions_give_no_values() -> None:
    assert pass_at_k(4, [], 2).shape == (0,)


@pytest.mark.parametrize(
    ("n", "correct", "k", "message"),
    [(4, [1], 8, "pass@8"), (4, [1], 0, "pass@0"), (4, [5], 2, "0..4"), (4, [-1], 2, "0..4")],
)
def test_refuses_what_cannot_be_estimated(n: int, correct: list[int], k: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        pass_at_k(n, correct, k)


def test_names_the_questions_with_another_number_of_samples() -> None:
    check_sample_counts({"a": 4, "b": 4}, 4)
    with pytest.raises(SampleCountError, match=r"2 of 3 questions .* exactly 4 samples: b has 3, c has 5"):
        check_sample_counts({"a": 4, "b": 3, "c": 5}, 4)
    with pytest.raises(SampleCountError, match="and 15 more"):
        check_sample_counts({f"q{i:02}": 3 for i in range(25)}, 4)
