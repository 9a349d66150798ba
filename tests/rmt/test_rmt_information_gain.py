"""Likelihood as a reward: what is scored, what carries loss, and that thoughts which tell the token are learned."""

import math
import random
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import torch
from pydantic import ValidationError
from transformers import AutoModelForCausalLM

from tasks.rmt.config import RMTTrainConfig
from tasks.rmt.information_gain import asked_for, thought_of, thoughts_alone
from tasks.rmt.worker import run
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.next_token.method import RewardConfig, reward
from tasks.spine.stage.worker import Reporter
from tests.support.grpo_runs import curve
from tests.support.guessing import PROMPT, MakeJob, add_think_tags
from tests.support.midtraining_jobs import learned
from tests.support.random_model import save_random_model

CLOSE, END = 2, 0
LIKELIHOOD = {"match": "likelihood"}


@pytest.fixture(scope="module")
def muser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose thought tells its token: a 3 behind `b`, a smaller digit behind `a`, as often one as the other."""
    rng = random.Random(0)
    pairs = []
    for _ in range(160):
        letter = rng.choice("ab")
        digit = 3 if letter == "b" else rng.randint(0, 2)
        prompt = f"{rng.randint(0, 9)}+{rng.randint(0, 9)}=\n[{rng.randint(1, 9)}]<think>"
        pairs.append((prompt, letter * rng.randint(1, 4) + f"</think>{digit}"))
    folder = tmp_path_factory.mktemp("muser")
    return learned(folder, add_think_tags(save_random_model(folder / "random")), pairs, epochs=8)


def test_a_thought_ends_with_its_tag_or_with_the_completion() -> None:
    assert [thought_of(ids, CLOSE, {END}) for ids in ([7, 8, CLOSE, 9, END], [7, END, 5], [7, 8], [CLOSE])] == [
        [7, 8],
        [7],
        [7, 8],
        [],
    ]


def test_rows_end_with_the_true_token_behind_a_closed_thought() -> None:
    ids, mask = asked_for([[5], [5, 6]], [[7, 8], []], [30, 31], CLOSE, filler=99)
    assert ids.tolist() == [[5, 7, 8, CLOSE, 30], [99, 5, 6, CLOSE, 31]]
    assert mask.tolist() == [[1] * 5, [0, 1, 1, 1, 1]]


def test_loss_falls_on_the_thought_and_on_closing_it_alone() -> None:
    ids = torch.tensor([[7, CLOSE, 30, END], [7, 8, 9, 7], [CLOSE, 30, CLOSE, END], [7, END, 99, 99]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 1, 1], [1, 1, 0, 0]])
    assert thoughts_alone(ids, mask, CLOSE).tolist() == [[1, 1, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0], [1, 1, 0, 0]]


def test_likelihood_and_length_are_mixed() -> None:
    config = RewardConfig(match="likelihood")
    assert reward(-2.0, 80, 80, config) == pytest.approx(0.9 * -2 + 0.1)
    assert reward(-2.0, None, 80, config) == pytest.approx(-1.8)
    assert reward(-2.0, 80, 0, config) == -2


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"reward": LIKELIHOOD}, r"set prediction_prompt\.prediction=bare"),
        ({"reward": LIKELIHOOD, "prediction_prompt": PROMPT, "objective": "sft"}, "objective=sft"),
        ({"reward": {**LIKELIHOOD, "gated": True}, "prediction_prompt": PROMPT}, r"reward\.gated=true"),
    ],
)
def test_what_likelihoods_do_not_go_with_is_refused(fields: dict, named: str) -> None:
    with pytest.raises(ValidationError, match=named):
        RMTTrainConfig(**fields)


@pytest.mark.slow
def test_thoughts_that_tell_the_token_are_learned(muser: Path, make_job: MakeJob, tmp_path: Path) -> None:
    likelihood = {**LIKELIHOOD, "length_weight": 0.0}
    # Without next-token loss, which would teach the answer itself.
    settings = {"reward": likelihood, "ntp_weight": 0.0, "learning_rate": 1e-3, "temperature": 0.8}
    job = make_job("run", steps=24, slots=8, **settings).model_copy(update={"model": muser})
    result = run(job, Reporter(tmp_path / "run"))
    points = curve(tmp_path / "run")
    assert sum(point["log_likelihood"] for point in points[:3]) / 3 < -1.5
    assert sum(point["log_likelihood"] for point in points[-3:]) / 3 > -0.5
    assert sum(point["match"] for point in points[-3:]) / 3 > 0.85
    # A digit and an end stand behind each thought, and carry no loss.
    rollouts = 24 * 8 * 4
    written = sum(point["completion_tokens"] for point in points) * 32
    assert result["ledger"]["rl_tokens"] <= written - 1.8 * rollouts

    tokenizer, model = load_tokenizer(muser), AutoModelForCausalLM.from_pretrained(muser)
    kept = [row for row in pq.read_table(job.out / "rollouts.parquet").to_pylist() if row["step"] == 1]
    assert kept
    for row in kept:
        thought, closed, _ = row["completion"].partition("</think>")
        text = row["prompt"] + (thought if closed else row["completion"]) + "</think>3"
        ids = tokenizer(text, add_special_tokens=False, return_tensors="pt")["input_ids"]
        with torch.no_grad():
            found = (model(ids).logits[0, -2] / 0.8).log_softmax(-1)[ids[0, -1]]
        assert row["reward"] == pytest.approx(float(found), abs=1e-3)
        assert math.isfinite(row["reward"])
