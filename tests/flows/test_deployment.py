"""A real Prefect server and process worker: deploy everything, then start the pipeline as CI would."""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.commands import STEP_BY_STEP, TRAINER, gone, processes, steps_logged, wait_until
from tests.support.deployed import BIN, POOLS, Deployed
from tests.support.paths import ROOT
from tests.support.small import SMALL

pytestmark = pytest.mark.slow

HOSTS = ("--gpu-host", socket.gethostname(), "--gpu-host", "other-host")
DEPLOYMENTS = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda item: item["entrypoint"] + "/" + item["name"])
def test_entry_points_exist_and_their_parameters_validate(deployment: dict) -> None:
    from prefect.flows import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(str(ROOT / deployment["entrypoint"]))
    parameters = {**flow.parameters.model_dump().get("defaults", {}), **deployment.get("parameters", {})}
    flow.validate_parameters(parameters)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A Prefect server of its own with a worker on each pool; all deployed."""
    with Deployed(tmp_path_factory.mktemp("deployed")) as started:
        started.midtrain("deploy", *HOSTS)
        for pool in POOLS:
            started.start_worker(pool)
        yield started


def test_deploying_again_changes_nothing(server: Deployed) -> None:
    pause = {"active": True, "schedule": {"cron": "5 4 * * *", "timezone": "UTC"}}
    watcher = server.ask("deployments/name/watch-base-models/watch")
    (schedule,) = watcher["schedules"]
    assert not schedule["active"]
    server.ask(f"deployments/{watcher['id']}/schedules/{schedule['id']}", pause, method="PATCH")
    before = state(server)
    server.midtrain("deploy", *HOSTS)
    assert state(server) == before
    assert {limit["name"] for limit in before["v2/concurrency_limits"]} == {
        f"training-{socket.gethostname()}",
        "training-other-host",
    }
    assert all(limit["limit"] == 1 for limit in before["v2/concurrency_limits"])
    assert {pool["name"] for pool in before["work_pools"]} >= {"cpu", "gpu"}
    assert len(before["deployments"]) == len(DEPLOYMENTS)
    (zombies,) = [item for item in before["automations"] if "heartbeat" in item["name"]]
    assert zombies["trigger"]["within"] >= 540
    assert len(before["automations"]) == 3
    assert server.ask("deployments/name/watch-base-models/watch")["schedules"][0]["active"]
    server.ask(f"deployments/{watcher['id']}/schedules/{schedule['id']}", {"active": False}, method="PATCH")


@pytest.mark.parametrize(
    "parameters",
    [
        {"recipe": "tiny-cpx"},
        {"recipe": "tiny-cpu-rmt"},
        {"limit": 0},
        {"seed": -1},
        {"force": ["generat"]},
        {"overrides": {"rll.steps": 3}},
        {"overrides": [1]},
    ],
    ids=json.dumps,
)
def test_wrong_parameters_are_refused_before_a_run_exists(server: Deployed, parameters: dict) -> None:
    deployment = server.ask("deployments/name/polya/tiny-cpu")
    runs = server.ask("flow_runs/count", {})
    with pytest.raises(urllib.error.HTTPError) as refused:
        server.ask(f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
    assert refused.value.code in (409, 422)
    assert server.ask("flow_runs/count", {}) == runs


def test_a_recipe_may_be_a_file_and_its_form_has_a_list_of_names(server: Deployed) -> None:
    deployment = server.ask("deployments/name/polya/tiny-cpu")
    fields = deployment["parameter_openapi_schema"]["properties"]
    by_name, by_path = fields["recipe"]["anyOf"]
    assert "tiny-cpu" in by_name["enum"]
    assert "tiny-cpu-rmt" not in by_name["enum"]
    assert by_path["type"] == "string"
    assert all(field.get("description") for field in fields.values())
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    given = {"parameters": {"recipe": "/recipes/mine.yaml"}, "state": later}
    run = server.ask(f"deployments/{deployment['id']}/create_flow_run", given)
    assert run["parameters"]["recipe"] == "/recipes/mine.yaml"
    server.ask(f"flow_runs/{run['id']}", method="DELETE")


def test_an_event_starts_a_release(server: Deployed) -> None:
    resource = {"prefect.resource.id": "model.registry.one", "model.name": "/no/such/model"}
    payload = {"recipe": "tiny-cpu-controls"}
    arguments = ["--resource", json.dumps(resource), "--payload", json.dumps(payload)]
    server.prefect("event", "emit", "model.base.released", *arguments)
    release = server.ask("deployments/name/release/base-model")
    wanted = {"deployments": {"id": {"any_": [release["id"]]}}}
    wait_until(lambda: server.ask("flow_runs/filter", wanted), 180)
    (run,) = server.ask("flow_runs/filter", wanted)
    assert run["parameters"]["model"] == "/no/such/model"
    assert run["parameters"]["recipe"] == "tiny-cpu-controls"
    server.ask(f"flow_runs/{run['id']}", method="DELETE")


def state(server: Deployed) -> dict[str, Any]:
    """What is on a server, without when it was last written."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(item) for key, item in value.items() if key not in VOLATILE}
        return [timeless(item) for item in value] if isinstance(value, list) else value

    kinds = ("work_pools", "v2/concurrency_limits", "deployments", "automations", "block_documents", "flows")
    found = {kind: timeless(server.ask(f"{kind}/filter", {})) for kind in kinds}
    return {kind: sorted(items, key=lambda item: item["id"]) for kind, items in found.items()}


VOLATILE = {"updated", "last_polled", "status", "last_heartbeat_time"}


def test_a_deployment_runs_to_completed(server: Deployed) -> None:
    arguments = [f"--param=overrides={json.dumps(SMALL)}", "--watch", "--tag", "ci-1-1"]
    output = server.prefect("deployment", "run", "polya/tiny-cpu", *arguments)
    assert "Completed" in output
    assert list((server.home / "store" / "report").iterdir())
    judge_as_ci_does(server, server.folder / "summary.md")
    refused = subprocess.run(
        [str(BIN / "prefect"), "deployment", "run", "polya/tiny-cpu", "--param", "limit=-1", "--watch"],
        env=server.environment,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1


def judge_as_ci_does(server: Deployed, summary: Path) -> None:
    """The gate finds the run's comparisons on the server alone: a home of its own has no store."""
    elsewhere = str(summary.parent / "ci")
    server.midtrain("gate", "ci-1-1", "--margin", "1", "--summary", str(summary), MIDTRAIN_HOME=elsewhere)
    assert "| candidate | baseline |" in summary.read_text()
    assert "No regression" in summary.read_text()


def test_a_cancelled_run_leaves_no_worker(server: Deployed) -> None:
    home = server.home
    before = {process.pid for process in processes(home)}
    overrides = {**SMALL, **STEP_BY_STEP, "rl.steps": 200}
    output = server.prefect("deployment", "run", "rl/stage", f"--param=overrides={json.dumps(overrides)}")
    run_id = re.search(r"UUID: (\S+)", output)[1]
    wait_until(lambda: steps_logged(home, "rl") >= 2)
    assert processes(home, TRAINER)
    server.prefect("flow-run", "cancel", run_id)
    cancelled_at = time.monotonic()
    assert gone(home, "tasks.", within_s=60)
    wait_until(lambda: {process.pid for process in processes(home)} <= before, 60)
    wait_until(lambda: "CANCELLED" in server.prefect("flow-run", "inspect", run_id), 60)
    assert time.monotonic() - cancelled_at < 60
    # A crash in between would have the run restarted.
    assert "Crashed" not in {state["name"] for state in server.ask(f"flow_run_states/?flow_run_id={run_id}")}
    assert list((home / "work").glob("rl-*/checkpoints/checkpoint-*"))
