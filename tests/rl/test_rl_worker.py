"""The program itself, killed and started again."""

from pathlib import Path

import psutil
import pytest

from tasks.rl.rollouts import ROLLOUTS, ROLLOUTS_FILE
from tasks.rl.worker import run
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.launch import WorkerFailed, run_worker
from tasks.spine.stage.worker import Reporter
from tests.support.grpo_runs import curve
from tests.support.killing import kill_when
from tests.support.random_model import padded_with_end
from tests.support.rl_jobs import MakeJob

pytestmark = pytest.mark.slow
MODULE = "tasks.rl.worker"


def test_a_killed_trainer_finishes_on_the_next_run_as_if_nothing_had_happened(
    make_job: MakeJob, tmp_path: Path
) -> None:
    straight = run(make_job("a", steps=24, learning_rate=1e-4), Reporter(tmp_path / "a"))
    job, work = make_job("b", save_every_steps=3, steps=24, learning_rate=1e-4), tmp_path / "b" / "w"
    killer = kill_when(work, lines=7)
    with pytest.raises(WorkerFailed, match="exit code -9"):
        run_worker(MODULE, job, work, timeout_s=200)
    killer.join()
    assert [pid for killed in killer.killed for pid in graders_of(killed)] == []
    resumed = run(job, Reporter(work))
    assert resumed["resumed_from_step"] >= 6
    assert resumed["ledger"] == straight["ledger"]
    assert resumed["curve"] == straight["curve"]
    for file in ("model.safetensors", ROLLOUTS_FILE):
        assert (tmp_path / "a" / "out" / file).read_bytes() == (tmp_path / "b" / "out" / file).read_bytes(), file
    kept = list(read_rows(tmp_path / "b" / "out" / ROLLOUTS_FILE, schema=ROLLOUTS))
    assert list(dict.fromkeys(row["step"] for row in kept)) == list(range(1, 25, 2))
    for row in kept:
        assert (row["verdict"] == "correct") == (row["reward"] == 1) == (row["completion"].strip() == "#### 3"), row
        assert (row["answer"], row["prompt"]) == ("3", f"Q: {row['question_id'].removeprefix('q')}\nA:")


def test_a_model_that_pads_with_its_end_token_learns_to_stop_all_the_same(
    make_job: MakeJob, guesser: Path, tmp_path: Path
) -> None:
    """What is padding is known by its place: no end of a rollout is taken for it, nor is it for an end."""
    own, end = (make_job(name, steps=1, micro_batch_tokens=60) for name in ("own", "end"))
    end = end.model_copy(update={"model": padded_with_end(guesser, tmp_path / "padded")})
    results = [run(job, Reporter(job.out.parent)) for job in (own, end)]
    assert results[0]["ledger"] == results[1]["ledger"]
    points = [curve(job.out.parent)[0] for job in (own, end)]
    for name in ("loss", "reward", "truncation_share", "completion_tokens", "entropy"):
        assert points[0][name] == points[1][name], name


def graders_of(parent: int) -> list[int]:
    """Graders that this process started: its id is the last word of their command lines."""
    commands = {process.pid: process.info["cmdline"] or [] for process in psutil.process_iter(["cmdline"])}
    graders = {pid: words for pid, words in commands.items() if "tasks.shared.verification.child" in words}
    return [pid for pid, words in graders.items() if words[-1] == str(parent)]
