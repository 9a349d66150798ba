"""Two processes train the model that one trains, and fail as one."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from tasks.errors import Permanent
from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.midtrain.worker import run
from tasks.shared.training.accelerate import launcher
from tasks.spine.stage.launch import run_worker
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tests.midtrain.rows import make_rows, write_rows

pytestmark = pytest.mark.slow
MODULE = "tasks.midtrain.worker"
TWO = launcher(Runtime(num_processes=2))


def job(model: Path, dataset: Path, folder: Path, **place: object) -> MidtrainJob:
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return MidtrainJob(
        model=model,
        data=dataset,
        out=folder / "out",
        checkpoints=folder / "checkpoints",
        num_threads=1,
        config=MidtrainConfig(learning_rate=1e-3, epochs=2, batch_size=8),
        **place,
    )


def points(folder: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (folder / "out" / "training.jsonl").read_text().splitlines()]


def check_same(folder: Path, other: Path) -> None:
    for point, expected in zip(points(folder), points(other), strict=True):
        for name in ("loss", "grad_norm", "learning_rate", "trained_tokens"):
            assert point[name] == pytest.approx(expected[name], rel=1e-3, abs=1e-6), (name, point["step"])
    weights, wanted = (load_file(each / "out" / "model.safetensors") for each in (folder, other))
    assert weights.keys() == wanted.keys()
    for key, value in weights.items():
        assert value.dtype == wanted[key].dtype
        torch.testing.assert_close(value, wanted[key], atol=5e-4, rtol=0)


def test_two_processes_train_as_one_does(random_model: Path, tmp_path: Path) -> None:
    """17 examples in batches of 8: the last step of an epoch has one example, so one process has none."""
    dataset = write_rows(tmp_path / "train.parquet", make_rows(17))
    one = run(job(random_model, dataset, tmp_path / "one"), Reporter(tmp_path / "one"))
    # One row a pass, so that a step has several passes in each process, and not equally many by nature.
    two = run_worker(
        MODULE,
        job(random_model, dataset, tmp_path / "two", micro_batch_size=1),
        tmp_path / "two" / "w",
        timeout_s=900,
        prefix=TWO,
    )
    assert two["ledger"] == one["ledger"]
    check_same(tmp_path / "two", tmp_path / "one")
    lines = (tmp_path / "two" / "w" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(1, 7))


def test_an_error_of_any_process_is_the_workers(random_model: Path, tmp_path: Path) -> None:
    rows = make_rows(4)
    rows[2]["completion"] = ""
    dataset = write_rows(tmp_path / "train.parquet", rows)
    with pytest.raises(Permanent, match=r"1 rows have an empty completion, .* q2"):
        run_worker(
            MODULE, job(random_model, dataset, tmp_path / "bad"), tmp_path / "bad" / "w", timeout_s=300, prefix=TWO
        )
