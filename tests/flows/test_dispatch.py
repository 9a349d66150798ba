"""Stages as runs of their own deployments: same artifacts, same lineage, one fate with their pipeline."""

import json
import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest
from mlflow import MlflowClient

from flows.polya import polya
from tasks.spine.store.settings import STARTED_BY_WORKER, Settings
from tasks.spine.store.store import Store
from tests.support.commands import GENERATION, batches, processes, wait_until
from tests.support.deployed import Deployed
from tests.support.small import RL_ONLY, SMALL, run

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

INLINE = {**SMALL, "runtime.num_threads": 1}
SPREAD = {**INLINE, "runtime.dispatch": "deployments"}
"""Filtering alone needs a stage of either pool: each costs the start of a run and of a worker."""
LONG = {**SPREAD, "generate.samples_per_heuristic": 2_000, "runtime.batch_size": 8, "runtime.flush_rows": 16}
"""Generation for longer than any test lasts, of the same questions."""


@pytest.fixture(scope="module")
def spread(server: Deployed) -> str:
    """Id of a completed run whose stages had runs of their own."""
    run_id = server.start_run("filter/filter", overrides=SPREAD)
    assert finish(server, run_id) == "COMPLETED"
    return run_id


def store(server: Deployed) -> Store:
    return Store.open(Settings(home=server.home))


def artifacts(server: Deployed) -> set[str]:
    return {str(manifest.ref) for manifest in store(server).all()}


def stage_runs(server: Deployed) -> dict[str, list[dict[str, Any]]]:
    """Runs of the stages' deployments, by flow."""
    return {name: server.runs_of(f"{name}/{name}") for name in ("decontaminate", "generate", "rl_prompts", "rl")}


def finish(server: Deployed, run_id: str) -> str:
    wait_until(lambda: server.state_of(run_id) in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"), 600)
    return server.state_of(run_id)


def test_a_stage_of_either_pool_makes_what_an_inline_run_finds(server: Deployed, spread: str) -> None:
    runs = stage_runs(server)
    assert {name: [run["work_pool_name"] for run in found] for name, found in runs.items() if found} == {
        "decontaminate": ["cpu"],
        "generate": ["gpu"],
    }
    assert {run["state"]["type"] for found in runs.values() for run in found} == {"COMPLETED"}
    check_found(server, "filter/filter", SPREAD, "filter/filter", INLINE)


def check_found(server: Deployed, spread: str, again: dict[str, Any], inline: str, overrides: dict[str, Any]) -> None:
    """A spread pipeline that runs again, and an inline one, make nothing and start no run of a stage."""
    made, runs = artifacts(server), {name: len(found) for name, found in stage_runs(server).items()}
    assert finish(server, server.start_run(spread, overrides=again)) == "COMPLETED"
    # As CI starts it.
    arguments = [f"--param=overrides={json.dumps(overrides)}", "--watch", "--tag", "ci-1-1"]
    assert "Completed" in server.prefect("deployment", "run", inline, *arguments)
    assert artifacts(server) == made
    assert {name: len(found) for name, found in stage_runs(server).items()} == runs


def test_every_stage_is_a_child_of_the_pipeline_in_mlflow(server: Deployed, spread: str) -> None:
    client = MlflowClient(tracking_uri=Settings(home=server.home).mlflow_uri)
    (experiment,) = [found for found in client.search_experiments() if found.name == "midtrain"]
    runs = client.search_runs([experiment.experiment_id])
    (parent,) = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert parent.data.tags["prefect.flow_run_id"] == spread
    assert parent.info.run_name == "filter"
    assert parent.info.status == "FINISHED"
    children = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    made = {manifest.mlflow_run_id for manifest in store(server).all() if manifest.mlflow_run_id}
    assert made == {run.info.run_id for run in children}


def generate_for_long(server: Deployed) -> str:
    """Start a pipeline whose generation goes on; returns its id once that has filled a few batches."""
    before = len(batches(server.home))
    run_id = server.start_run("filter/filter", overrides=LONG)
    wait_until(lambda: len(batches(server.home)) > before + 2, 420)
    return run_id


def progress(server: Deployed, run_id: str) -> str:
    """What the page of a run says of the stage that it is at."""
    chosen = {"artifacts": {"flow_run_id": {"any_": [run_id]}, "key": {"any_": ["progress"]}}}
    return " ".join(item["description"] for item in server.ask("artifacts/filter", chosen))


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
    before = len(server.runs_of("generate/generate"))
    run_id = generate_for_long(server)
    wait_until(lambda: re.search(r"generate .*[1-9]\d*/\d+ samples", progress(server, run_id)), 60)
    os.kill(pipeline_process(server, run_id).pid, signal.SIGKILL)
    wait_until(lambda: server.ask(f"flow_runs/{run_id}")["run_count"] == 2, 300)
    (worker,) = processes(server.home, GENERATION)
    reached = len(batches(server.home))
    wait_until(lambda: len(batches(server.home)) > reached + 2, 300)
    stages = server.runs_of("generate/generate")
    assert len(stages) == before + 1
    assert worker.is_running()
    assert server.state_of(run_id) == "RUNNING"

    server.prefect("flow-run", "cancel", run_id)
    wait_until(lambda: server.state_of(run_id) == "CANCELLED", 180)
    wait_until(lambda: server.state_of(stages[-1]["id"]) == "CANCELLED", 180)
    wait_until(lambda: {process.pid for process in processes(server.home)} <= idle, 180)
    # A crash in between would have the run restarted.
    assert "Crashed" not in server.states_of(stages[-1]["id"])


@pytest.mark.long(reason="a whole pipeline of six stages, each a run by a worker; here a stage of either pool is one")
def test_spread_stages_make_what_inline_ones_find(server: Deployed) -> None:
    overrides = {**INLINE, **RL_ONLY}
    assert finish(server, server.start_run("polya/spread", overrides=overrides)) == "COMPLETED"
    runs = stage_runs(server)
    assert {run["work_pool_name"] for run in runs["rl_prompts"] + runs["decontaminate"]} == {"cpu"}
    assert {run["work_pool_name"] for run in runs["rl"]} == {"gpu"}
    check_found(server, "polya/spread", overrides, "polya/tiny-cpu", overrides)


def test_a_server_without_the_deployments_is_named(in_new_home: Path) -> None:
    with pytest.raises(ValueError, match="midtrain deploy"):
        run(polya, recipe="tiny-cpu", dispatch="deployments", overrides=INLINE)
