"""FSDP2: two processes with shards train the model that one process trains, and resume it."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.errors import Permanent
from tasks.midtrain.config import MidtrainJob
from tasks.midtrain.worker import run
from tasks.shared.training.accelerate import launcher
from tasks.shared.training.distributed import join
from tasks.spine.stage.launch import WorkerFailed
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tests.support.jobs_in_turn import result, run_in_turn
from tests.support.killing import kill_when
from tests.support.midtraining_jobs import check_same, job, points
from tests.support.random_model import save_random_model
from tests.support.training_rows import make_rows, write_rows

SHARDED = launcher(Runtime(num_processes=2, distribution="fsdp2"))


def shard(work: Path, *jobs: MidtrainJob) -> None:
    """Run the jobs in two processes that share a model."""
    run_in_turn("tasks.midtrain.worker", jobs, work, SHARDED, "tests.support.fsdp_on_cpu")


@pytest.mark.slow
def test_shards_train_as_the_whole_and_resume_and_in_bfloat16_round_no_loss(tmp_path: Path) -> None:
    model, dataset = save_random_model(tmp_path / "model"), write_rows(tmp_path / "train.parquet", make_rows(17))
    run(job(model, dataset, tmp_path / "one"), Reporter(tmp_path / "one"))
    whole = job(model, dataset, tmp_path / "two", sft_micro_batch_tokens=1, save_every_steps=2)
    # One step, whose gradient norm two processes find from the gradients of each.
    half: dict[str, Any] = {"settings": {"epochs": 1, "dtype": "bfloat16"}}
    short = write_rows(tmp_path / "short.parquet", make_rows(8))
    run(job(model, short, tmp_path / "half-one", **half), Reporter(tmp_path / "half-one"))
    killer = kill_when(tmp_path / "w", lines=3)
    with pytest.raises(WorkerFailed, match="exit code"):
        shard(tmp_path / "w", whole)
    killer.join()
    shard(tmp_path / "w", whole, job(model, short, tmp_path / "half-two", **half))
    assert result(whole)["resumed_from_step"] >= 2
    check_same(tmp_path / "two", tmp_path / "one")
    assert len(points(tmp_path / "two")) == 6
    check_rounding(tmp_path / "half-two", tmp_path / "half-one")


def check_rounding(folder: Path, other: Path) -> None:
    """In bfloat16 no loss is rounded, and gradients are summed in float32."""
    [shared], [whole] = points(folder), points(other)
    assert shared["loss"] == pytest.approx(whole["loss"], rel=1e-3)
    for name in ("loss", "entropy", "grad_norm"):
        assert torch.tensor(shared[name]).bfloat16().float().item() != pytest.approx(shared[name], rel=1e-6), name


@pytest.mark.parametrize("variable", ["ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED"])
def test_sharding_on_a_cpu_is_refused(variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(os.environ, variable, "true")
    place = job(tmp_path, tmp_path, tmp_path / "cpu", device="cpu")
    with pytest.raises(Permanent, match=r"on accelerators only.*runtime.distribution=ddp"):
        join(place)


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
@pytest.mark.parametrize("distribution", ["ddp", "fsdp2"])
def test_two_gpus_train_as_one_process_does(distribution: str, tmp_path: Path) -> None:
    model, dataset = save_random_model(tmp_path / "model"), write_rows(tmp_path / "train.parquet", make_rows(17))
    run(job(model, dataset, tmp_path / "one", device="cpu"), Reporter(tmp_path / "one"))
    prefix = launcher(Runtime(num_processes=2, distribution=distribution))
    place = job(model, dataset, tmp_path / "two", sft_micro_batch_tokens=1)
    run_in_turn("tasks.midtrain.worker", [place], tmp_path / "two" / "w", prefix)
    check_same(tmp_path / "two", tmp_path / "one")
