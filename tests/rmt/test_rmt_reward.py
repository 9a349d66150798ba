"""What counts as right, and what it earns."""

import pytest

from tasks.shared.next_token.method import RewardConfig, exact_match, is_match, prefix_match, reward

CONTINUATION = " the größe 字"
ENDS = [4, 7, 8, 12, 16]
""" the| gr|ö|ße .. in bytes: " the"=4, " gr"=7, first byte of "ö"=8, "öße" to 12, " 字"=16."""


@pytest.mark.parametrize(
    ("prediction", "right"), [(" the", True), ("the", False), (" the ", False), ("", False), (None, False)]
)
def test_exact_match_is_equality_of_text(prediction: str | None, right: bool) -> None:
    assert exact_match(prediction, " the") is right


def test_an_empty_prediction_is_wrong_even_for_an_empty_target() -> None:
    assert exact_match("", "") is False
    assert prefix_match("", "", [0]) is False


@pytest.mark.parametrize(
    ("prediction", "right"),
    [
        (" the", True),
        (" the gr", True),
        (" the größe", True),
        (" the größe 字", True),
        (" the größe 字 and on", False),
        (" th", False),
        ("the", False),
        (" the g", False),
        (" the grö", False),
        (" the grob", False),
        ("", False),
        (None, False),
    ],
)
def test_a_prefix_ends_where_a_token_ends(prediction: str | None, right: bool) -> None:
    assert len(CONTINUATION.encode()) == ENDS[-1]
    assert prefix_match(prediction, CONTINUATION, ENDS) is right


def test_the_rule_is_a_setting() -> None:
    several = " the gr"
    assert not is_match(several, " the", CONTINUATION, ENDS, "exact")
    assert is_match(several, " the", CONTINUATION, ENDS, "prefix")


@pytest.mark.parametrize(
    ("match", "length", "expected"),
    [(True, 80, 1.0), (True, 40, 0.95), (True, 160, 0.9), (False, 80, 0.1), (False, 0, 0.0), (False, None, 0.0)],
)
def test_match_and_length_are_mixed(match: bool, length: int | None, expected: float) -> None:
    assert reward(match, length, 80, RewardConfig()) == pytest.approx(expected)


def test_the_gated_length_reward_is_for_right_predictions_alone() -> None:
    gated = RewardConfig(gated=True, length_weight=0.25)
    assert reward(False, 80, 80, gated) == 0
    assert reward(True, 80, 80, gated) == 1
    assert reward(True, 40, 80, gated) == pytest.approx(0.875)


@pytest.mark.parametrize("gated", [False, True])
def test_without_a_budget_the_match_is_all(gated: bool) -> None:
    config = RewardConfig(gated=gated, length_weight=0.5)
    assert [reward(match, length, 0, config) for match in (True, False) for length in (0, 500, None)] == [1] * 3 + [
        0
    ] * 3
