"""The reward, graded by the real pool."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.rl.prompts import read_prompts
from tasks.rl.reward import CorrectnessReward, readable_golds
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.pool import VerifierPool
from tests.support.rl_jobs import write_prompts

END = 0


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(1, config=VerificationConfig(timeout_s=3)) as pool:
        yield pool


@pytest.mark.parametrize(
    ("completion", "answer", "ids", "reward", "outcome"),
    [
        (" 20+22=42.\n#### 42", "42", [5, END], 1.0, "correct"),
        (" 20+22=43.\n#### 43", "42", [5, END], 0.0, "wrong"),
        (" no idea", "42", [5, END], 0.0, "unparsed"),
        (" #### 42", "42", [5, 6], 0.0, "truncated"),
        (" #### 42", "42", [], 0.0, "truncated"),
        (r" \boxed{\sum_{k=1}^{6}2k}", "42", [5, END], 0.0, "wrong"),
        (" #### 7^{7^{7^7}}", "42", [5, END], 0.0, "timeout"),
        (" #### 1\n#### 2\n#### 42", "42", [5, END], 1.0, "correct"),
        (" #### 42\n#### 1", "42", [5, END], 0.0, "wrong"),
    ],
)
def test_reward(pool: VerifierPool, completion: str, answer: str, ids: list[int], reward: float, outcome: str) -> None:
    logged = {}
    found = CorrectnessReward(pool, [END])(
        prompts=[f"The answer is {answer}. #### {answer}"],
        completions=[completion],
        completion_ids=[ids],
        answer=[answer],
        log_metric=logged.__setitem__,
    )
    assert found == [reward]
    assert {name: share for name, share in logged.items() if share} == {f"verdict/{outcome}": 1.0}


def test_rewards_stay_in_order_beside_ungraded_rollouts(pool: VerifierPool) -> None:
    completions = [" #### 1", " #### 2", " #### 3", " #### 4"]
    rewards = CorrectnessReward(pool, [END])(
        completions=completions,
        completion_ids=[[END], [9], [END], [END]],
        answer=["1", "2", "9", "4"],
        log_metric=lambda *_: None,
    )
    assert rewards == [1.0, 0.0, 0.0, 1.0]


def test_golds_that_no_grader_can_read_are_found(pool: VerifierPool) -> None:
    golds = ["42", r"\frac{", r"\text{Evelyn}", "(1,2)", "", "42"]
    assert readable_golds(pool, golds) == [True, False, True, True, False, True]


def test_prompts_left_out_are_counted_and_listed(tmp_path: Path) -> None:
    rows = [
        {"prompt": "ab", "answer": "1", "question_id": "fine"},
        {"prompt": "abcdef", "answer": "1", "question_id": "long"},
        {"prompt": "ab", "answer": "?", "question_id": "gold"},
    ]
    path = write_prompts(tmp_path / "rl.parquet", rows)

    def read(limit: int) -> object:
        return read_prompts(
            path, lambda texts: [[0] * len(t) for t in texts], lambda golds: [g != "?" for g in golds], limit
        )

    prompts = read(3)
    assert prompts.ledger() == {"prompts": 3, "usable": 1, "too_long": 1, "gold_errors": 1}
    assert prompts.listed() == {"too_long": ["long (6 tokens)"], "gold_errors": ["gold: '?'"]}
    with pytest.raises(Permanent, match=r"none of 3 prompts .* Raise rl.max_prompt_tokens=1"):
        read(1)


def test_empty_and_foreign_files_are_refused(tmp_path: Path) -> None:
    path = write_prompts(tmp_path / "rl.parquet", [])
    with pytest.raises(Permanent, match="no rows to train on"):
        read_prompts(path, lambda _: [], lambda _: [], 10)
