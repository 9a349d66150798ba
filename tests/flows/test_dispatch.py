"""Stages as runs of their own deployments: same artifacts, same lineage, one fate with their pipeline."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from flows.polya import polya
from tasks.spine.store.settings import STARTED_BY_WORKER, Settings
from tasks.spine.store.store import Store
from tests.support.commands import STEP_BY_STEP, TRAINER, processes, steps_logged, wait_until
from tests.support.deployed import Deployed
from tests.support.small import RL_ONLY, SMALL, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

ONE_THREAD = {**SMALL, "runtime.num_threads": 1}
ONE_ARM = {**ONE_THREAD, **RL_ONLY}
"""An arm of few stages: each costs the start of a run and of a worker."""
LONG = {**ONE_THREAD, **STEP_BY_STEP, **RL_ONLY, "rl.steps": 5_000}
"""RL from the base model alone, for longer than any test lasts."""


@pytest.fixture(scope="module")
def spread(server: Deployed) -> str:
    """Id of a completed run whose stages had runs of their own."""
    run_id = server.start_run("polya/spread", overrides=ONE_ARM)
    assert finish(server, run_id) == "COMPLETED"
    return run_id


def store(server: Deployed) -> Store:
    return Store.open(Settings(home=server.home))


def stage_runs(server: Deployed) -> dict[str, list[dict[str, Any]]]:
    """Runs of the stages' deployments, by flow."""
    names = ("questions", "rl_prompts", "rl", "evaluate")
    return {name: server.runs_of(f"{name}/{name}") for name in names}


def finish(server: Deployed, run_id: str) -> str:
    wait_until(lambda: server.state_of(run_id) in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), 600)
    return server.state_of(run_id)


def test_spread_stages_make_what_inline_ones_find(server: Deployed, spread: str) -> None:
    runs = stage_runs(server)
    assert all(runs.values())
    assert {run["work_pool_name"] for run in runs["rl_prompts"] + runs["questions"]} == {"cpu"}
    assert {run["work_pool_name"] for run in runs["rl"] + runs["evaluate"]} == {"gpu"}
    assert {run["state"]["type"] for found in runs.values() for run in found} == {"COMPLETED"}
    artifacts = {str(manifest.ref) for manifest in store(server).all()}

    again = server.start_run("polya/spread", overrides=ONE_ARM)
    # As CI starts it.
    arguments = [f"--param=overrides={json.dumps(ONE_ARM)}", "--watch", "--tag", "ci-1-1"]
    assert "Completed" in server.prefect("deployment", "run", "polya/tiny-cpu", *arguments)
    assert finish(server, again) == "COMPLETED"
    assert {str(manifest.ref) for manifest in store(server).all()} == artifacts
    assert {name: len(found) for name, found in stage_runs(server).items()} == {
        name: len(found) for name, found in runs.items()
    }


def test_every_stage_is_a_child_of_the_pipeline_in_mlflow(server: Deployed, spread: str) -> None:
    client = MlflowClient(tracking_uri=Settings(home=server.home).mlflow_uri)
    (experiment,) = [found for found in client.search_experiments() if found.name == "midtrain"]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.data.tags["prefect.flow_run_id"] == spread
    assert parent.info.run_name == "tiny-cpu"
    assert parent.info.status == "FINISHED"
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    made = {manifest.mlflow_run_id for manifest in store(server).all() if manifest.mlflow_run_id}
    assert made == {run.info.run_id for run in children}


def train_for_long(server: Deployed, steps: int) -> str:
    """Start a pipeline whose RL goes on; returns its id once the trainer has made that many steps."""
    run_id = server.start_run("polya/spread", overrides=LONG)
    wait_until(lambda: steps_logged(server.home, "rl") >= steps, 420)
    return run_id


def pipeline_process(server: Deployed, run_id: str) -> psutil.Process:
    """The process that a worker started for a run."""
    (found,) = [
        process
        for process in processes(server.home, "prefect")
        if process.environ().get(STARTED_BY_WORKER) == run_id and "MIDTRAIN_WORKER" not in process.environ()
    ]
    return found


def test_a_restarted_pipeline_finds_its_run_again_and_a_cancelled_one_takes_it_along(
    server: Deployed, spread: str
) -> None:
    idle = {process.pid for process in processes(server.home)}
    before = len(server.runs_of("rl/rl"))
    run_id = train_for_long(server, 1)
    os.kill(pipeline_process(server, run_id).pid, signal.SIGKILL)
    wait_until(lambda: server.ask(f"flow_runs/{run_id}")["run_count"] == 2, 300)
    (trainer,) = processes(server.home, TRAINER)
    reached = steps_logged(server.home, "rl")
    wait_until(lambda: steps_logged(server.home, "rl") > reached + 5, 300)
    rl_runs = server.runs_of("rl/rl")
    assert len(rl_runs) == before + 1
    assert trainer.is_running()
    assert server.state_of(run_id) == "RUNNING"

    server.prefect("flow-run", "cancel", run_id)
    wait_until(lambda: server.state_of(run_id) == "CANCELLED", 180)
    wait_until(lambda: server.state_of(rl_runs[-1]["id"]) == "CANCELLED", 180)
    wait_until(lambda: {process.pid for process in processes(server.home)} <= idle, 180)
    # A crash in between would have the run restarted.
    assert "Crashed" not in server.states_of(rl_runs[-1]["id"])
    assert list((server.home / "work").glob("rl-*/checkpoints/checkpoint-*"))


def test_a_server_without_the_deployments_is_named(in_new_home: Path) -> None:
    with pytest.raises(ValueError, match="midtrain deploy"):
        run(polya, recipe="tiny-cpu", dispatch="deployments", overrides=ONE_THREAD)
