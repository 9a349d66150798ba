"""The program itself, killed and started again."""

from pathlib import Path

import psutil
import pytest

from tasks.rl.worker import run
from tasks.spine.stage.launch import WorkerFailed, run_worker
from tasks.spine.stage.worker import Reporter
from tests.support.killing import kill_when
from tests.support.rl_jobs import MakeJob

pytestmark = pytest.mark.slow
MODULE = "tasks.rl.worker"


def test_a_killed_trainer_finishes_on_the_next_run_as_if_nothing_had_happened(
    make_job: MakeJob, tmp_path: Path
) -> None:
    straight = run(make_job("a", steps=40, learning_rate=1e-4), Reporter(tmp_path / "a"))
    job, work = make_job("b", save_every_steps=5, steps=40, learning_rate=1e-4), tmp_path / "b" / "w"
    killer = kill_when(work, lines=13)
    with pytest.raises(WorkerFailed, match="exit code -9"):
        run_worker(MODULE, job, work, timeout_s=200)
    killer.join()
    graders = [
        p for p in psutil.process_iter(["cmdline"]) if "tasks.shared.verification.child" in (p.info["cmdline"] or [])
    ]
    assert not [p for p in graders if p.ppid() == 1]
    resumed = run_worker(MODULE, job, work, timeout_s=200)
    assert resumed["resumed_from_step"] >= 10
    assert resumed["ledger"] == straight["ledger"]
    assert resumed["curve"] == straight["curve"]
    weights = [(tmp_path / name / "out" / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
