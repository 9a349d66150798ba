"""FSDP2: two processes with shards train the model that one process trains, and resume it."""

import os
from pathlib import Path
from typing import Any

import pytest
import torch

from tasks.errors import Permanent
from tasks.midtrain.worker import run
from tasks.shared.training.accelerate import launcher
from tasks.shared.training.distributed import join
from tasks.spine.stage.launch import WorkerFailed, run_worker
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tests.support.killing import kill_when
from tests.support.midtraining_jobs import check_same, job, points
from tests.support.random_model import save_random_model
from tests.support.training_rows import make_rows, write_rows

SHARDED: dict[str, Any] = {"timeout_s": 900, "prefix": launcher(Runtime(num_processes=2, distribution="fsdp2"))}


@pytest.mark.slow
def test_shards_train_as_the_whole_and_resume(tmp_path: Path) -> None:
    model, dataset = save_random_model(tmp_path / "model"), write_rows(tmp_path / "train.parquet", make_rows(17))
    run(job(model, dataset, tmp_path / "one"), Reporter(tmp_path / "one"))
    place = job(model, dataset, tmp_path / "two", sft_micro_batch_tokens=1, save_every_steps=2)
    work = tmp_path / "two" / "w"
    killer = kill_when(work, lines=3)
    with pytest.raises(WorkerFailed, match="exit code"):
        run_worker("tests.support.fsdp_on_cpu", place, work, **SHARDED)
    killer.join()
    assert run_worker("tests.support.fsdp_on_cpu", place, work, **SHARDED)["resumed_from_step"] >= 2
    check_same(tmp_path / "two", tmp_path / "one")
    assert len(points(tmp_path / "two")) == 6


@pytest.mark.slow
def test_shards_in_bfloat16_round_no_loss_and_sum_gradients_in_float32(tmp_path: Path) -> None:
    """One step, whose gradient norm two processes find from the gradients of each."""
    model, dataset = save_random_model(tmp_path / "model"), write_rows(tmp_path / "train.parquet", make_rows(8))
    half: dict[str, Any] = {"epochs": 1, "dtype": "bfloat16"}
    run(job(model, dataset, tmp_path / "one", settings=half), Reporter(tmp_path / "one"))
    place = job(model, dataset, tmp_path / "two", settings=half)
    run_worker("tests.support.fsdp_on_cpu", place, tmp_path / "two" / "w", **SHARDED)
    [whole], [shared] = points(tmp_path / "one"), points(tmp_path / "two")
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
    run_worker("tasks.midtrain.worker", place, tmp_path / "two" / "w", timeout_s=900, prefix=prefix)
    check_same(tmp_path / "two", tmp_path / "one")
