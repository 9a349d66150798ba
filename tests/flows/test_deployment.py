"""A real Prefect server and process worker: deploy everything, then start the pipeline as CI would."""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tasks.launch import end_tree
from tests.conftest import ROOT, wait_for
from tests.flows.commands import STEP_BY_STEP, TRAINER, gone, processes, steps_logged, wait_until
from tests.flows.small import SMALL

pytestmark = pytest.mark.slow

BIN = Path(sys.executable).parent
DEPLOYMENTS = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]


@pytest.mark.parametrize("deployment", DEPLOYMENTS, ids=lambda item: item["entrypoint"] + "/" + item["name"])
def test_entry_points_exist_and_their_parameters_validate(deployment: dict) -> None:
    from prefect.flows import load_flow_from_entrypoint

    flow = load_flow_from_entrypoint(str(ROOT / deployment["entrypoint"]))
    parameters = {**flow.parameters.model_dump().get("defaults", {}), **deployment.get("parameters", {})}
    flow.validate_parameters(parameters)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the server, its worker and the home that runs work in."""
    return tmp_path_factory.mktemp("deployed")


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[dict[str, str]]:
    """Environment of commands that talk to a Prefect server of their own, with a worker on its pool; all deployed."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    api = f"http://127.0.0.1:{port}/api"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    environment |= {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": api,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MIDTRAIN_HOME": str(folder / "home"),
        "MIDTRAIN_PROJECT": str(ROOT),
    }
    started = []
    try:
        with (folder / "server.log").open("w") as log:
            command = [str(BIN / "prefect"), "server", "start", "--port", port]
            started.append(subprocess.Popen(command, env=environment, stdout=log, stderr=log))
        wait_for(f"{api}/health")
        _midtrain(environment, "deploy", "--gpu-host", socket.gethostname(), "--gpu-host", "other-host")
        for pool in ("cpu", "gpu"):
            with (folder / f"worker-{pool}.log").open("w") as log:
                command = [str(BIN / "prefect"), "worker", "start", "--pool", pool, "--type", "process"]
                started.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log))
        yield environment
    finally:
        for child in reversed(started):
            end_tree(child.pid)
            child.wait()


def test_deploying_again_changes_nothing(server: dict[str, str]) -> None:
    pause = {"active": True, "schedule": {"cron": "5 4 * * *", "timezone": "UTC"}}
    watcher = _ask(server, "deployments/name/watch-base-models/watch")
    (schedule,) = watcher["schedules"]
    assert not schedule["active"]
    _ask(server, f"deployments/{watcher['id']}/schedules/{schedule['id']}", pause, method="PATCH")
    before = state(server)
    _midtrain(server, "deploy", "--gpu-host", socket.gethostname(), "--gpu-host", "other-host")
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
    assert _ask(server, "deployments/name/watch-base-models/watch")["schedules"][0]["active"]
    _ask(server, f"deployments/{watcher['id']}/schedules/{schedule['id']}", {"active": False}, method="PATCH")


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
def test_wrong_parameters_are_refused_before_a_run_exists(server: dict[str, str], parameters: dict) -> None:
    deployment = _ask(server, "deployments/name/polya/tiny-cpu")
    runs = _ask(server, "flow_runs/count", {})
    with pytest.raises(urllib.error.HTTPError) as refused:
        _ask(server, f"deployments/{deployment['id']}/create_flow_run", {"parameters": parameters})
    assert refused.value.code in (409, 422)
    assert _ask(server, "flow_runs/count", {}) == runs


def test_a_recipe_may_be_a_file_and_its_form_has_a_list_of_names(server: dict[str, str]) -> None:
    deployment = _ask(server, "deployments/name/polya/tiny-cpu")
    fields = deployment["parameter_openapi_schema"]["properties"]
    by_name, by_path = fields["recipe"]["anyOf"]
    assert "tiny-cpu" in by_name["enum"]
    assert "tiny-cpu-rmt" not in by_name["enum"]
    assert by_path["type"] == "string"
    assert all(field.get("description") for field in fields.values())
    later = {"type": "SCHEDULED", "state_details": {"scheduled_time": "2099-01-01T00:00:00Z"}}
    given = {"parameters": {"recipe": "/recipes/mine.yaml"}, "state": later}
    run = _ask(server, f"deployments/{deployment['id']}/create_flow_run", given)
    assert run["parameters"]["recipe"] == "/recipes/mine.yaml"
    _ask(server, f"flow_runs/{run['id']}", method="DELETE")


def test_an_event_starts_a_release(server: dict[str, str]) -> None:
    resource = {"prefect.resource.id": "model.registry.one", "model.name": "/no/such/model"}
    payload = {"recipe": "tiny-cpu-controls"}
    arguments = ["--resource", json.dumps(resource), "--payload", json.dumps(payload)]
    _prefect(server, "event", "emit", "model.base.released", *arguments)
    release = _ask(server, "deployments/name/release/base-model")
    wanted = {"deployments": {"id": {"any_": [release["id"]]}}}
    wait_until(lambda: _ask(server, "flow_runs/filter", wanted), 60)
    (run,) = _ask(server, "flow_runs/filter", wanted)
    assert run["parameters"]["model"] == "/no/such/model"
    assert run["parameters"]["recipe"] == "tiny-cpu-controls"
    _ask(server, f"flow_runs/{run['id']}", method="DELETE")


def state(server: dict[str, str]) -> dict[str, Any]:
    """What is on a server, without when it was last written."""

    def timeless(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: timeless(item) for key, item in value.items() if key not in VOLATILE}
        return [timeless(item) for item in value] if isinstance(value, list) else value

    kinds = ("work_pools", "v2/concurrency_limits", "deployments", "automations", "block_documents", "flows")
    found = {kind: timeless(_ask(server, f"{kind}/filter", {})) for kind in kinds}
    return {kind: sorted(items, key=lambda item: item["id"]) for kind, items in found.items()}


VOLATILE = {"updated", "last_polled", "status", "last_heartbeat_time"}


def _ask(server: dict[str, str], path: str, body: Any = None, method: str = "") -> Any:
    """Ask the server's API."""
    request = urllib.request.Request(
        f"{server['PREFECT_API_URL']}/{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={"Content-Type": "application/json"},
        method=method or ("GET" if body is None else "POST"),
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def test_a_deployment_runs_to_completed(server: dict[str, str], folder: Path) -> None:
    arguments = [f"--param=overrides={json.dumps(SMALL)}", "--watch", "--tag", "ci-1-1"]
    output = _prefect(server, "deployment", "run", "polya/tiny-cpu", *arguments)
    assert "Completed" in output
    assert list((folder / "home" / "store" / "report").iterdir())
    judge_as_ci_does(server, folder / "summary.md")
    refused = subprocess.run(
        [str(BIN / "prefect"), "deployment", "run", "polya/tiny-cpu", "--param", "limit=-1", "--watch"],
        env=server,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1


def judge_as_ci_does(server: dict[str, str], summary: Path) -> None:
    """The gate finds the run's comparisons on the server alone: a home of its own has no store."""
    elsewhere = {**server, "MIDTRAIN_HOME": str(summary.parent / "ci")}
    _midtrain(elsewhere, "gate", "ci-1-1", "--margin", "1", "--summary", str(summary))
    assert "| candidate | baseline |" in summary.read_text()
    assert "No regression" in summary.read_text()


def test_a_cancelled_run_leaves_no_worker(server: dict[str, str], folder: Path) -> None:
    home = folder / "home"
    before = {process.pid for process in processes(home)}
    overrides = {**SMALL, **STEP_BY_STEP, "rl.steps": 200}
    output = _prefect(server, "deployment", "run", "rl/stage", f"--param=overrides={json.dumps(overrides)}")
    run_id = re.search(r"UUID: (\S+)", output)[1]
    wait_until(lambda: steps_logged(home, "rl") >= 2)
    assert processes(home, TRAINER)
    _prefect(server, "flow-run", "cancel", run_id)
    cancelled_at = time.monotonic()
    assert gone(home, "tasks.", within_s=60)
    wait_until(lambda: {process.pid for process in processes(home)} <= before, 60)
    wait_until(lambda: "CANCELLED" in _prefect(server, "flow-run", "inspect", run_id), 60)
    assert time.monotonic() - cancelled_at < 60
    assert list((home / "work").glob("rl-*/checkpoints/checkpoint-*"))


def _midtrain(environment: dict[str, str], *arguments: str) -> str:
    return _command(environment, sys.executable, "-m", "flows.cli", *arguments)


def _prefect(environment: dict[str, str], *arguments: str) -> str:
    return _command(environment, str(BIN / "prefect"), *arguments)


def _command(environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=540)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
