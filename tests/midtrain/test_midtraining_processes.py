"""Two processes train the model that one trains, and fail as one."""

import json
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.midtrain.worker import run
from tasks.shared.training.accelerate import launcher
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.runtime import Runtime
from tests.support.adapters import LORA
from tests.support.jobs_in_turn import result, run_in_turn
from tests.support.midtraining_jobs import check_same, job
from tests.support.training_rows import make_rows, write_rows

pytestmark = pytest.mark.slow
TWO = launcher(Runtime(num_processes=2))
ADAPTERS = {"none": None, "lora": LORA}


def test_two_processes_train_as_one_does_and_an_error_of_any_is_the_workers(random_model: Path, tmp_path: Path) -> None:
    """17 examples in batches of 8: the last step of an epoch has one example, so one process has none."""
    dataset = write_rows(tmp_path / "train.parquet", make_rows(17))
    # One row a pass, so that a step has several passes in each process, and not equally many by nature.
    jobs = {
        name: job(random_model, dataset, tmp_path / name / "two", lora, sft_micro_batch_tokens=1)
        for name, lora in ADAPTERS.items()
    }
    rows = make_rows(4)
    rows[2]["completion"] = ""
    bad = job(random_model, write_rows(tmp_path / "bad.parquet", rows), tmp_path / "bad")
    with pytest.raises(Permanent, match=r"1 rows have an empty completion, .* q2"):
        run_in_turn("tasks.midtrain.worker", [*jobs.values(), bad], tmp_path / "w", TWO)
    for name, lora in ADAPTERS.items():
        one, two = tmp_path / name / "one", tmp_path / name / "two"
        alone = run(job(random_model, dataset, one, lora), Reporter(one))
        assert result(jobs[name])["ledger"] == alone["ledger"]
        check_same(two, one)
    lines = (tmp_path / "w" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == 2 * list(range(1, 7))
