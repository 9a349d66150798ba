"""A real Prefect server and process worker: deploy everything, then start the pipeline as CI would."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

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
        _prefect(environment, "work-pool", "create", "midtrain", "--type", "process", "--overwrite")
        with (folder / "worker.log").open("w") as log:
            command = [str(BIN / "prefect"), "worker", "start", "--pool", "midtrain", "--type", "process"]
            started.append(subprocess.Popen(command, env=environment, cwd=ROOT, stdout=log, stderr=log))
        _prefect(environment, "--no-prompt", "deploy", "--all", "--prefect-file", "deployments/prefect.yaml")
        yield environment
    finally:
        for child in reversed(started):
            end_tree(child.pid)
            child.wait()


def test_a_deployment_runs_to_completed(server: dict[str, str], folder: Path) -> None:
    arguments = [f"--param=overrides={json.dumps(SMALL)}", "--watch"]
    output = _prefect(server, "deployment", "run", "polya/tiny-cpu", *arguments)
    assert "Completed" in output
    assert list((folder / "home" / "store" / "report").iterdir())
    refused = subprocess.run(
        [str(BIN / "prefect"), "deployment", "run", "polya/tiny-cpu", "--param", "limit=-1", "--watch"],
        env=server,
        capture_output=True,
        text=True,
    )
    assert refused.returncode == 1


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


def _prefect(environment: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [str(BIN / "prefect"), *arguments], env=environment, cwd=ROOT, capture_output=True, text=True, timeout=540
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout
