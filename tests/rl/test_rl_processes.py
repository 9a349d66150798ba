"""GRPO in two processes: the gradients of one at the same rollouts, exact restarts, and settings that do not fit."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tasks.errors import Permanent
from tasks.rl.config import RLJob
from tasks.rl.worker import run
from tasks.shared.training.accelerate import launcher
from tasks.spine.stage.imports import hide_packages
from tasks.spine.stage.launch import WorkerFailed, run_worker
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tests.support import given_rl_rollouts
from tests.support.jobs_in_turn import result, run_in_turn
from tests.support.killing import kill_when
from tests.support.rl_jobs import MakeJob
from tests.support.training_rows import rows_of, write_rows

with hide_packages("mlflow", "vllm"):
    import tasks.rl.trainer as trainer
    from tasks.rl.arguments import grpo_arguments

pytestmark = pytest.mark.slow
MODULE = "tasks.rl.worker"
TWO = launcher(Runtime(num_processes=2))

PER_PASS = {"entropy", "kl", "clip_share"}
"""Metrics that are means over passes, whatever the number of their tokens."""


def curve(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "out" / "training.jsonl").read_text().splitlines()]


OBJECTIVES: dict[str, dict[str, Any]] = {
    "default": {},
    "grpo": {
        "loss_type": "grpo",
        "beta": 0.05,
        "mask_truncated_completions": True,
        "trl": {"scale_rewards": "mean", "entropy_coef": 0.1, "top_entropy_quantile": 0.5},
        "sft_weight": 0.5,
        "sft_batch_size": 3,
    },
}


def test_two_processes_learn_from_given_rollouts_as_one_does(
    make_job: MakeJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trainer.GroupTrainer, "_generate_single_turn", given_rl_rollouts.write)
    pairs = [(f"Q: {number}\nA:", f" {'so ' * number}#### 3") for number in range(5)]
    solutions = {"solutions": write_rows(tmp_path / "train.parquet", rows_of(pairs))}

    def make(name: str, given: dict[str, Any], **place: Any) -> RLJob:
        job = make_job(name, **given, **place)
        return job.model_copy(update=solutions) if job.config.sft_weight else job

    jobs = {name: make(f"{name}-two", given, micro_batch_tokens=40) for name, given in OBJECTIVES.items()}
    run_in_turn(MODULE, list(jobs.values()), tmp_path / "w", TWO, "tests.support.given_rl_rollouts")
    for name, given in OBJECTIVES.items():
        run(make(f"{name}-one", given), Reporter(tmp_path / f"{name}-one"))
        assert result(jobs[name])["ledger"]["rollouts"] == 6 * 16
        one, two = (tmp_path / f"{name}-{count}" for count in ("one", "two"))
        for point, expected in zip(curve(two), curve(one), strict=True):
            assert point.keys() == expected.keys()
            for metric in point.keys() - PER_PASS:
                assert point[metric] == pytest.approx(expected[metric], rel=2e-3, abs=2e-5), (metric, point["step"])
        assert max(abs(point["loss"]) for point in curve(two)) > 1e-3
        weights = [load_file(folder / "out" / "model.safetensors") for folder in (one, two)]
        for key, value in weights[0].items():
            torch.testing.assert_close(weights[1][key], value, atol=2e-3, rtol=0)


def test_two_killed_processes_finish_as_if_nothing_had_happened(make_job: MakeJob, tmp_path: Path) -> None:
    """Rollouts are sampled, by each process from its own random state."""
    jobs = {name: make_job(name, save_every_steps=2, steps=6, learning_rate=1e-4) for name in "ab"}
    killer = kill_when(tmp_path / "b" / "w", lines=5)
    with pytest.raises(WorkerFailed, match="exit code"):
        run_worker(MODULE, jobs["b"], tmp_path / "b" / "w", timeout_s=900, prefix=TWO)
    killer.join()
    run_in_turn(MODULE, [jobs["b"], jobs["a"]], tmp_path / "w", TWO)
    resumed, straight = result(jobs["b"]), result(jobs["a"])
    assert resumed["resumed_from_step"] == 4
    assert resumed["ledger"] == straight["ledger"]
    assert curve(tmp_path / "b") == curve(tmp_path / "a")
    weights = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]


def arguments(job: RLJob) -> Any:
    return grpo_arguments(
        job,
        job.config,
        num_batches=1,
        prompts_per_batch=4,
        longest_prompt=9,
        batch_setting="rl.prompts_per_step",
    )


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"WORLD_SIZE": "3"}, r"rl.prompts_per_step=4 cannot be shared by 3 processes.*runtime.num_processes=3"),
        (
            {"WORLD_SIZE": "2", "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2"},
            r"rollouts without vLLM .* fsdp2 shards it; set runtime.engine=vllm, or runtime.distribution=ddp",
        ),
    ],
)
def test_settings_that_do_not_fit_are_refused_by_name(
    environment: dict[str, str], message: str, make_job: MakeJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setitem(os.environ, name, value)
    with pytest.raises(Permanent, match=message):
        arguments(make_job("refused"))
