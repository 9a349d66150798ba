"""The reward, graded by the real pool."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.rl.prompts import read_prompts
from tasks.rl.reward import CorrectnessReward, readable_golds
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.pool import VerifierPool
from tests.support.rl_jobs import write_prompts
from tests.support.thinking_tokenizer import END, thinking_tokenizer

TOKENIZER = thinking_tokenizer()


@pytest.fixture(scope="module")
def pool() -> Iterator[VerifierPool]:
    with VerifierPool(1, config=VerificationConfig(timeout_s=3)) as pool:
        yield pool


def rewards(pool: VerifierPool, texts: list[str], answers: list[str], form: PromptForm, logged: dict[str, float]):
    """Rewards of completions as the policy writes them: token ids, the end token last where it was written."""
    reward = CorrectnessReward(pool, TOKENIZER, [TOKENIZER.eos_token_id], form)
    ids = [TOKENIZER.encode(text, add_special_tokens=False) for text in texts]
    # TRL decodes completions without their special tokens.
    bare = [TOKENIZER.decode(row, skip_special_tokens=True) for row in ids]
    return reward(prompts=answers, completions=bare, completion_ids=ids, answer=answers, log_metric=logged.__setitem__)


@pytest.mark.parametrize(
    ("completion", "reward", "outcome"),
    [
        (f" 20+22=42.\n#### 42{END}", 1.0, "correct"),
        (f" 20+22=43.\n#### 43{END}", 0.0, "wrong"),
        (f" no idea{END}", 0.0, "unparsed"),
        (" #### 42", 0.0, "truncated"),
        ("", 0.0, "truncated"),
        (rf" \boxed{{\sum_{{k=1}}^{{6}}2k}}{END}", 0.0, "wrong"),
        (f" #### 7^{{7^{{7^7}}}}{END}", 0.0, "timeout"),
        (f" #### 1\n#### 2\n#### 42{END}", 1.0, "correct"),
        (f" #### 42\n#### 1{END}", 0.0, "wrong"),
        (f"<think> perhaps #### 41 </think> #### 42{END}", 1.0, "correct"),
        (f"<think> perhaps #### 42 </think> I do not know.{END}", 0.0, "unparsed"),
        (f"<think> so #### 42{END}", 0.0, "unparsed"),
        (f"<think> no </think> well <think> #### 42{END}", 0.0, "unparsed"),
    ],
)
def test_reward(pool: VerifierPool, completion: str, reward: float, outcome: str) -> None:
    logged: dict[str, float] = {}
    assert rewards(pool, [completion], ["42"], PromptForm(), logged) == [reward]
    assert {name: share for name, share in logged.items() if share} == {f"verdict/{outcome}": 1.0}


def test_a_stop_text_ends_a_rollout_and_is_no_part_of_what_is_graded(pool: VerifierPool) -> None:
    reward = CorrectnessReward(pool, TOKENIZER, [TOKENIZER.eos_token_id], PromptForm(), ["\n\nQ:"])
    texts = [" #### 42\n\nQ:", f" #### 42{END}", " #### 42", " #### 41\n\nQ:"]
    ids = [TOKENIZER.encode(text, add_special_tokens=False) for text in texts]
    assert reward(completion_ids=ids, answer=["42"] * 4, log_metric=lambda *_: None) == [1.0, 1.0, 0.0, 0.0]
    assert reward.fates == ["correct", "correct", "truncated", "wrong"]
    assert reward.text(ids[0]) == " #### 42"


def test_rollouts_that_begin_inside_a_thought_answer_behind_it(pool: VerifierPool) -> None:
    texts = [f" so #### 42{END}", f" so #### 41 </think> #### 42{END}"]
    assert rewards(pool, texts, ["42", "42"], PromptForm(opened_thought="<think>"), {}) == [0.0, 1.0]


def test_rewards_stay_in_order_beside_ungraded_rollouts(pool: VerifierPool) -> None:
    texts = [f" #### 1{END}", " #### 2", f" #### 3{END}", f" #### 4{END}"]
    assert rewards(pool, texts, ["1", "2", "9", "4"], PromptForm(), {}) == [1.0, 0.0, 0.0, 1.0]


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
