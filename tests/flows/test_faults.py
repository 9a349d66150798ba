"""Workers and flows that are killed: a retry or a rerun finishes, nothing is lost and nothing repeated."""

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from flows.stages.generate import generate
from flows.stages.midtrain import midtrain
from flows.stages.rl import rl
from tasks.shared.sampling.schema import SAMPLES_FILE
from tasks.shared.tables.parquet import read_rows
from tasks.spine.store.store import Store
from tests.support.commands import (
    GENERATION,
    SLOWLY,
    STEP_BY_STEP,
    batches,
    check_resumed,
    gone,
    pooled,
    processes,
    start,
    steps_logged,
)
from tests.support.homes import copy_stages
from tests.support.small import BEFORE_TRAINING, SMALL, Run, run

pytestmark = pytest.mark.slow

SAMPLES = 32 * 6
"""Samples that `SLOWLY` wants."""


def test_a_killed_generation_worker_is_succeeded_and_no_sample_is_generated_twice(in_new_home: Path) -> None:
    held: list[str] = []

    def kill() -> None:
        while len(batches(in_new_home)) < 3:
            time.sleep(0.02)
        for worker in processes(in_new_home, GENERATION):
            worker.kill()
            worker.wait()
        held.extend(pooled(in_new_home))

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    done = run(generate, overrides={**SMALL, **SLOWLY})
    killer.join()
    assert 48 <= len(held) < SAMPLES
    check_samples(in_new_home, held)
    again = run(generate, overrides={**SMALL, **SLOWLY})
    assert (again.ref, again.built) == (done.ref, [])


def check_samples(home: Path, held: list[str]) -> None:
    """Every wanted sample is there and was generated once; those in the pool at the time of the fault were reused."""
    store = Store.open()
    (manifest,) = store.all("samples")
    keys = [row["key"] for row in read_rows(store.local(manifest.ref) / SAMPLES_FILE, ["key"])]
    assert len(keys) == len(set(keys)) == SAMPLES
    assert sorted(pooled(home)) == sorted(keys)
    assert set(held) <= set(keys)
    assert manifest.summary["from_pool"] == len(held)
    assert manifest.summary["generated_now"] == SAMPLES - len(held)


def kill_trainer(home: Path, module: str) -> threading.Thread:
    """Kill the trainer of a home when it has reported its second step."""
    stage = module.split(".")[1].replace("midtraining", "midtrain")

    def kill() -> None:
        while steps_logged(home, stage) < 2:
            time.sleep(0.01)
        for worker in processes(home, module):
            worker.kill()

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    return thread


@pytest.mark.long(reason="the same retry as of RL's worker; that killed mid-training goes on is shown by its worker")
def test_a_killed_midtraining_worker_resumes_in_the_same_run(
    finished: Run, small_home: Path, in_new_home: Path
) -> None:
    copy_stages(small_home, in_new_home, *BEFORE_TRAINING)
    killer = kill_trainer(in_new_home, "tasks.midtrain.worker")
    overrides = {"midtrain.batch_size": 4, "runtime.save_every_steps": 1, "runtime.num_threads": 1}
    done = run(midtrain, overrides={**SMALL, **overrides})
    killer.join()
    assert done.built == ["midtrain"]
    manifest = Store.open().manifest(done.ref)
    check_resumed(manifest, manifest.rows["steps"])
    assert manifest.rows["steps"] * 4 >= manifest.ledger["trained_examples"] == manifest.rows["examples"]


def test_a_killed_rl_worker_resumes_in_the_same_run(in_new_home: Path) -> None:
    killer = kill_trainer(in_new_home, "tasks.rl.worker")
    done = run(rl, overrides={**SMALL, **STEP_BY_STEP})
    killer.join()
    assert done.built.count("rl") == 1
    check_resumed(Store.open().manifest(done.ref), STEP_BY_STEP["rl.steps"])
    assert gone(in_new_home, "tasks.shared.verification.child")


def test_a_killed_flow_takes_its_worker_along_and_a_rerun_takes_over_at_once(
    new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home
    monkeypatch.setenv("MIDTRAIN_HOME", str(home))
    killed = start(home, "generate", {**SMALL, **SLOWLY})
    killed.wait_until(lambda: len(batches(home)) >= 3)
    os.kill(killed.process.pid, signal.SIGKILL)
    assert killed.wait() == -signal.SIGKILL
    assert gone(home, GENERATION)
    assert Store.open().all("samples") == []
    assert list((home / "store" / "samples").glob("*/lease.json"))
    held = pooled(home)
    # A command, as it also ends the server that the killed one left behind.
    again = start(home, "generate", {**SMALL, **SLOWLY})
    assert again.wait() == 0, again.output
    assert "waiting for it" not in again.output
    assert set(again.stages("store")) == {"questions", "decontaminate", "model"}
    assert again.stages("built now") == ["generate"]
    check_samples(home, held)
    assert gone(home)
