"""Two processes train the model that one trains, and fail as one."""

import json
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.midtrain.worker import run
from tasks.shared.training.accelerate import launcher
from tasks.spine.stage.launch import run_worker
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tests.support.adapters import LORA
from tests.support.midtraining_jobs import check_same, job
from tests.support.training_rows import make_rows, write_rows

pytestmark = pytest.mark.slow
MODULE = "tasks.midtrain.worker"
TWO = launcher(Runtime(num_processes=2))


@pytest.mark.parametrize("lora", [None, LORA])
def test_two_processes_train_as_one_does(lora: dict[str, int] | None, random_model: Path, tmp_path: Path) -> None:
    """17 examples in batches of 8: the last step of an epoch has one example, so one process has none."""
    dataset = write_rows(tmp_path / "train.parquet", make_rows(17))
    one = run(job(random_model, dataset, tmp_path / "one", lora), Reporter(tmp_path / "one"))
    # One row a pass, so that a step has several passes in each process, and not equally many by nature.
    two = run_worker(
        MODULE,
        job(random_model, dataset, tmp_path / "two", lora, sft_micro_batch_tokens=1),
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
