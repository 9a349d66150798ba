"""Rewards of a batch, and the counts from which rates and the ledger follow."""

from typing import Any

import pytest

from tasks.errors import Permanent
from tasks.rmt.grading import PredictionReward
from tasks.rmt.ledger import count
from tasks.rmt.rows import Run
from tasks.shared.next_token.method import RewardConfig
from tasks.shared.next_token.reader import OUTCOMES, Reader

END, OPEN, CLOSE = 0, 1, 2


def decode(ids: list[int]) -> str:
    return "".join("<>|"[i] if i < 3 else chr(i) for i in ids)


def written(text: str) -> list[int]:
    """Token ids of a completion: `|` closes the reasoning, `<` ends."""
    return [{"<": END, "|": CLOSE}.get(letter, ord(letter)) for letter in text]


def graded(config: RewardConfig, completions: list[str], **columns: Any) -> tuple[list[float], dict[str, float]]:
    reader = Reader(open_id=OPEN, close_id=CLOSE, end_ids={END}, opened=True, form="bare", decode=decode)
    logged: dict[str, float] = {}
    count = len(completions)
    rows = {
        "tier": ["easy"] * count,
        "budget": [4] * count,
        "target": [" 3"] * count,
        "continuation": [" 3 apples"] * count,
        "boundaries": [[2, 9]] * count,
    }
    grader = PredictionReward(config, reader)
    rewards = grader(
        prompts=["p"] * count,
        completions=[""] * count,
        completion_ids=list(map(written, completions)),
        log_metric=logged.__setitem__,
        **(rows | columns),
    )
    assert grader.matched == [reward >= 0.9 for reward in rewards]
    return rewards, logged


@pytest.mark.parametrize(
    ("completion", "reward", "outcome"),
    [
        ("aaaa| 3<", 1.0, "right"),
        ("aa| 3<", 0.95, "right"),
        ("| 3<", 0.9, "right"),
        ("aaaa|3<", 0.1, "wrong"),
        ("aaaa|<", 0.1, "no_prediction"),
        ("aaaa 3<", 0.0, "no_prediction"),
        ("aaaa| 3", 0.1, "truncated"),
        ("aaaa 3", 0.0, "truncated"),
    ],
)
def test_reward_and_outcome(completion: str, reward: float, outcome: str) -> None:
    [found], logged = graded(RewardConfig(), [completion])
    assert found == pytest.approx(reward)
    assert [name for name in OUTCOMES if logged[f"outcome/{name}"]] == [outcome]


def test_the_prefix_rule_and_the_gate() -> None:
    config = RewardConfig(match="prefix", gated=True)
    assert graded(config, ["aaaa| 3 apples<", "aaaa| 3 app<"])[0] == [1.0, 0.0]


def test_without_a_budget_the_reward_is_the_match() -> None:
    rewards, logged = graded(RewardConfig(), ["aaaa| 3<", "aaaa|4<"], budget=[0, 0])
    assert rewards == [1.0, 0.0]
    assert logged["length_reward"] == 0


def test_counts_by_tier() -> None:
    _, logged = graded(RewardConfig(), ["aa| 3<", "aaaa|4<", "aaaa"], tier=["easy", "hard", "hard"], budget=[4, 4, 8])
    third = pytest.approx(1 / 3)
    assert logged["rows/easy"] == logged["right/easy"] == third
    assert (logged["rows/medium"], logged["right/medium"]) == (0, 0)
    assert (logged["rows/hard"], logged["right/hard"]) == (pytest.approx(2 / 3), 0)
    assert logged["closed"] == pytest.approx(2 / 3)
    assert logged["reasoning_per_rollout"] == pytest.approx((2 + 4) / 3)
    assert logged["length_reward"] == pytest.approx((0.5 + 1) / 3)
    assert logged["budget_tokens"] == pytest.approx(16 / 3)


def points(**changes: float) -> list[dict[str, float]]:
    outcomes = {"right": 0.25, "wrong": 0.5, "no_prediction": 0.0, "truncated": 0.25}
    point = {f"outcome_{name}": share for name, share in outcomes.items()} | {"rl_tokens": 10.0, "ntp_tokens": 7.0}
    return [point, {"rl_tokens": 10.0, "ntp_tokens": 7.0}, point | changes, {"rl_tokens": 10.0, "ntp_tokens": 7.0}]


def test_the_ledger_adds_up_or_says_so() -> None:
    run = Run(3, 2, {}, ["a", "b", "a", "c", "d", "d"], {})
    options = {"group_size": 4, "num_iterations": 2, "text_tokens": lambda step: 7}
    assert count(run, points(), **options) == {
        "steps": 2, "documents": 3, "drawn_positions": 4, "rollouts": 16, "right": 4, "wrong": 8, "no_prediction": 0,
        "truncated": 4, "rl_tokens": 40, "ntp_tokens": 28,
    }  # fmt: skip
    for changes in ({"outcome_wrong": 0.0}, {"ntp_tokens": 6.0}):
        with pytest.raises(Permanent, match="does not add up"):
            count(run, points(**changes), **options)
