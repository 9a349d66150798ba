"""The dual loss as a run: it learns, resumes exactly, adds up, and stops when it cannot learn."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from tasks.errors import Permanent
from tasks.rmt.rows import read_run
from tasks.rmt.worker import run
from tasks.spine.stage.imports import hide_packages
from tasks.spine.stage.worker import Reporter
from tests.support.grpo_runs import Crash, curve, note_prompts
from tests.support.guessing import PROMPT, TIERS, MakeJob

with hide_packages("mlflow", "vllm"):
    from tasks.rl.trainer import GroupTrainer

OUTCOMES = ("right", "wrong", "no_prediction", "truncated")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Prompts of each batch in the order in which they were asked."""
    return note_prompts(GroupTrainer, monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "half"),
    [
        ({}, 3),
        ({"micro_batch_tokens": 90, "objective": "sft"}, 3),
        ({"objective": "ntp"}, 3),
        ({"reward": {"match": "likelihood"}}, 3),
        ({"baseline": "critic", "group_size": 1, "slots": 8}, 3),
        ({"num_iterations": 2}, 3),  # rollouts are reused in steps 3 and 4, so the checkpoint waits for 4
        ({"beta": 0.05, "schedule": "linear"}, 2),
    ],
)
def test_2n_steps_are_n_and_a_restart_and_n(
    settings: dict[str, Any], half: int, make_job: MakeJob, asked: list[list[str]], tmp_path: Path
) -> None:
    straight = make_job("straight", **settings)
    run(straight, Reporter(tmp_path / "straight"))
    cursor, iterations = list(asked), straight.config.num_iterations
    table = pq.read_table(straight.data / "schedule.parquet").to_pylist()
    if straight.config.objective == "ntp":
        assert cursor == []
    else:
        assert cursor == [[row["prompt"] for row in table if row["step"] == step] for step in range(6)]

    asked.clear()
    broken = make_job("broken", save_every_steps=half, **settings)
    resumed_from = -(-half // iterations) * iterations
    with pytest.raises(KeyboardInterrupt):
        run(broken, Crash(tmp_path / "broken", at=resumed_from + 1))
    [checkpoint] = broken.checkpoints.glob("checkpoint-*")
    assert not list(checkpoint.glob("*rollout*"))
    first = len(asked)
    result = run(broken, Reporter(tmp_path / "broken"))
    assert result["resumed_from_step"] == resumed_from
    assert asked[: resumed_from // iterations] + asked[first:] == cursor
    assert result["steps"] == 6 * iterations

    assert curve(tmp_path / "broken") == curve(tmp_path / "straight")
    weights = [load_file(tmp_path / name / "out" / "model.safetensors") for name in ("straight", "broken")]
    for key in weights[0]:
        assert torch.equal(weights[0][key], weights[1][key]), key


@pytest.mark.slow
def test_it_learns_reports_and_adds_up(make_job: MakeJob, tmp_path: Path) -> None:
    job = make_job("run", steps=30, slots=8, learning_rate=2e-3)
    result = run(job, Reporter(tmp_path / "run"))
    points, ledger = curve(tmp_path / "run"), result["ledger"]
    assert sum(point["match"] for point in points[:3]) / 3 < 0.6
    assert sum(point["match"] for point in points[-3:]) / 3 > 0.85
    assert points[-1]["loss_ntp"] < points[0]["loss_ntp"] / 2
    for point in points:
        assert point["loss"] == pytest.approx(point["loss_rl"] + 0.1 * point["loss_ntp"], abs=1e-5)
        tiers = [TIERS[(point["step"] - 1 + slot) % 3] for slot in range(8)]
        assert point["match"] == pytest.approx(sum(point[f"match_{tier}"] for tier in tiers) / 8, abs=1e-5)
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert {
        "reward", "match", "match_easy", "match_medium", "match_hard", "length_reward", "reasoning_tokens",
        "budget_tokens", "rl_tokens", "ntp_tokens", "rl_token_share", "truncation_share", "outcome_no_prediction",
        "unclosed_share", "entropy", "grad_norm", "learning_rate", "zero_advantage_group_share", "loss_rl", "loss_ntp",
        "step_s",
    } <= set(lines[0]["values"])  # fmt: skip
    assert ledger["steps"] == 30
    assert ledger["drawn_positions"] == 240
    assert ledger["rollouts"] == 240 * 4 == sum(ledger[name] for name in OUTCOMES)
    schedule = read_run(job.data)
    read = [text for step in range(30) for name in schedule.documents_of(step) for text in [schedule.texts[name]]]
    assert ledger["ntp_tokens"] == sum(len(text.tokens) - 1 - len(text.drawn) for text in read)
    assert ledger["documents"] == len(schedule.texts)
    assert ledger["rl_tokens"] == pytest.approx(sum(point["completion_tokens"] for point in points) * 32, abs=1)
    AutoModelForCausalLM.from_pretrained(job.out)


@pytest.mark.slow
def test_reasoning_learns_to_be_as_long_as_the_budget(make_job: MakeJob, tmp_path: Path) -> None:
    reward = {"length_weight": 1.0}
    run(make_job("long", steps=60, slots=8, learning_rate=1e-3, reward=reward), Reporter(tmp_path / "long"))
    rewards = [point["length_reward"] for point in curve(tmp_path / "long")]
    # A step's mean over 32 rollouts swings by a tenth and more: means of many steps, which rise from 0.35 to 0.75.
    assert sum(rewards[-15:]) / 15 > sum(rewards[:5]) / 5 + 0.15


@pytest.mark.slow
def test_micro_batches_do_not_change_the_first_gradient(make_job: MakeJob, tmp_path: Path) -> None:
    points = []
    for name, tokens in (("whole", 0), ("parts", 60)):
        run(make_job(name, micro_batch_tokens=tokens, steps=1), Reporter(tmp_path / name))
        points.append(curve(tmp_path / name)[0])
    for name in ("grad_norm", "loss_rl", "loss_ntp", "rl_tokens", "ntp_tokens", "match"):
        assert points[0][name] == pytest.approx(points[1][name], rel=1e-3, abs=1e-5), name


@pytest.mark.slow
def test_a_loss_that_is_not_a_number_stops_with_its_cause(make_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"rmt_train step 1: loss is inf; lower rmt_train.learning_rate=0.003"):
        run(make_job("nan", ntp_weight=1e39), Reporter(tmp_path / "nan"))


def test_a_model_that_never_closes_its_reasoning_stops_with_its_cause(make_job: MakeJob, tmp_path: Path) -> None:
    other_way_round = PROMPT.model_copy(update={"open_tag": "</think>", "close_tag": "<think>"})
    prompt = other_way_round.model_copy(
        update={"template": "{context}[{budget}]", "template_without_budget": "{context}"}
    )
    job = make_job("open", prediction_prompt=prompt, max_completion_tokens=1, max_unclosed_steps=2)
    with pytest.raises(Permanent, match=r"rmt_train step 2: in 2 batches .*'<think>'.* 100% .*max_completion_tokens=1"):
        run(job, Reporter(tmp_path / "open"))


@pytest.mark.parametrize(("objective", "cause"), [("grpo", "both a right and a wrong"), ("sft", "no prediction was")])
def test_a_run_without_anything_to_learn_stops_and_says_why(
    objective: str, cause: str, make_job: MakeJob, tmp_path: Path
) -> None:
    job = make_job("zero-advantage", objective=objective, max_zero_advantage_steps=2, max_completion_tokens=1)
    with pytest.raises(
        Permanent, match=rf"rmt_train step 2: .*max_zero_advantage_steps=2 batches .*{cause}.*rmt_train.group_size"
    ):
        run(job, Reporter(tmp_path / "zero-advantage"))


def test_completions_beyond_the_context_are_refused_before_the_start(make_job: MakeJob, tmp_path: Path) -> None:
    with pytest.raises(Permanent, match=r"rmt_train.max_completion_tokens=2048 takes 20\d\d tokens.* context is 1024"):
        run(make_job("wide", max_completion_tokens=2048), Reporter(tmp_path / "wide"))
