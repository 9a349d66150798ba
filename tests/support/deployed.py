"""A Prefect server of its own with process workers, as people run them, whose parts a test may end or kill."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import psutil

from flows.server.automations import HEARTBEAT
from flows.server.environment import PATIENT
from flows.server.ui import LEASES
from tasks.spine.stage.launch import end_tree
from tests.support.homes import Databases
from tests.support.network import free_port, wait_for
from tests.support.paths import ROOT

BIN = Path(sys.executable).parent
POOLS = ("cpu", "gpu")
QUICK_HEARTBEAT = {"PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
"""The quickest that Prefect takes."""
KEPT_OF_RULES = (
    "name", "description", "enabled", "tags", "trigger", "actions", "actions_on_trigger", "actions_on_resolve",
)  # fmt: skip
"""Fields by which an automation is written anew."""


@dataclass
class Deployed(AbstractContextManager["Deployed"]):
    """Server and workers in a folder, where `home` is the home that runs work in."""

    folder: Path
    databases: Databases
    settings: dict[str, str] = field(default_factory=dict)
    """Added to the environment of the server, the workers and every command."""
    port: int = field(default_factory=free_port)
    hosts: tuple[str, ...] = ("--gpu-host", socket.gethostname(), "--gpu-host", "other-host")
    """What `midtrain deploy` is told of the machines."""
    _home: Path | None = None
    _since: datetime = field(default_factory=lambda: datetime.now(UTC))
    _processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """`MIDTRAIN_HOME` of all runs."""
        return self._home or self.folder / "home"

    @property
    def api(self) -> str:
        """Address of the server's API."""
        return f"http://127.0.0.1:{self.port}/api"

    @property
    def environment(self) -> dict[str, str]:
        """Environment of commands that talk to this server."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PREFECT_", "MIDTRAIN_", "MLFLOW_"))
        }
        return inherited | {
            "PREFECT_HOME": str(self.folder / "prefect"),
            # Does not follow PREFECT_HOME; what all share holds references of other homes.
            "PREFECT_LOCAL_STORAGE_PATH": str(self.home / "results"),
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            "PREFECT_API_URL": self.api,
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            # Several runs and a server share one SQLite database.
            **PATIENT,
            **LEASES,
            "MIDTRAIN_HOME": str(self.home),
            "MIDTRAIN_PROJECT": str(ROOT),
            **self.settings,
        }

    def __enter__(self) -> "Deployed":
        self.databases.copy_prefect_to(self.folder)
        self.start_server()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for name in reversed(list(self._processes)):
            self.end(name)

    def start_server(self) -> None:
        """Start the server, again if it was ended: on the same port, with the same data."""
        self._start("server", "server", "start", "--port", str(self.port))
        wait_for(f"{self.api}/health")

    @contextmanager
    def with_workers(self, folder: Path) -> Iterator[None]:
        """Have a worker on each pool, for runs in a new home below `folder`, and look at no earlier run."""
        self._home, self._since = folder / "home", datetime.now(UTC)
        self.databases.copy_to(self.home)
        for pool in POOLS:
            self.start_worker(pool)
        yield
        # A worker that is asked to end takes its time, and nobody looks at its runs any more.
        for name in [name for name in self._processes if name.startswith("worker-")]:
            self.kill(name)

    def start_worker(self, pool: str) -> None:
        """Start the worker of a pool."""
        self._start(f"worker-{pool}", "worker", "start", "--pool", pool, "--type", "process")

    def _start(self, name: str, *arguments: str) -> None:
        with (self.folder / f"{name}.log").open("a") as log:
            self._processes[name] = subprocess.Popen(
                [str(BIN / "prefect"), *arguments], env=self.environment, cwd=ROOT, stdout=log, stderr=log
            )

    def end(self, name: str) -> None:
        """End `server` or `worker-POOL` with all it started."""
        process = self._processes.pop(name)
        end_tree(process.pid)
        process.wait()

    def kill(self, name: str) -> None:
        """Kill it with all it started, as if its machine lost power: none of them gets to say a word."""
        process = self._processes.pop(name)
        for each in [*psutil.Process(process.pid).children(recursive=True), psutil.Process(process.pid)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
        process.wait()

    def midtrain(self, *arguments: str, **environment: str) -> str:
        """Run a `midtrain` command; returns what it printed."""
        return self._command([sys.executable, "-m", "flows.cli", *arguments], environment)

    def prefect(self, *arguments: str) -> str:
        """Run a `prefect` command; returns what it printed."""
        return self._command([str(BIN / "prefect"), *arguments], {})

    def _command(self, command: list[str], environment: dict[str, str]) -> str:
        done = subprocess.run(
            command, env=self.environment | environment, cwd=ROOT, capture_output=True, text=True, timeout=540
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    def ask(self, path: str, body: Any = None, method: str = "") -> Any:
        """Ask the server's API; one that is busy (503) is asked again, as Prefect's own clients do."""
        request = urllib.request.Request(
            f"{self.api}/{path}",
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method=method or ("GET" if body is None else "POST"),
        )
        for attempts_left in reversed(range(60)):
            try:
                with urllib.request.urlopen(request, timeout=60) as answer:
                    text = answer.read()
                break
            except urllib.error.HTTPError as error:
                if error.code != 503 or not attempts_left:
                    raise
                time.sleep(1)
        return json.loads(text) if text else None

    def start_run(self, deployment: str, /, **parameters: Any) -> str:
        """Ask for a run of a deployment, given as flow/name; returns the run's id."""
        found = self.ask(f"deployments/name/{deployment}")
        return self.ask(f"deployments/{found['id']}/create_flow_run", {"parameters": parameters})["id"]

    def state_of(self, run_id: str) -> str:
        """Type of a flow run's state: RUNNING, COMPLETED, ..."""
        return self.ask(f"flow_runs/{run_id}")["state"]["type"]

    def completed(self, run_id: str) -> bool:
        """True once a run has completed; an error where it has failed."""
        state = self.ask(f"flow_runs/{run_id}")["state"]
        assert state["type"] != "FAILED", state["message"]
        return state["type"] == "COMPLETED"

    def states_of(self, run_id: str) -> list[str]:
        """Names of the states that a flow run has passed."""
        return [state["name"] for state in self.ask(f"flow_run_states/?flow_run_id={run_id}")]

    def new_runs(self, count: int, queue: str | None = None, deployment: str = "questions/questions") -> list[str]:
        """Ids of runs whose states a test tells; `queue` keeps the workers off."""
        found = self.ask(f"deployments/name/{deployment}")
        asked = {"work_queue_name": queue} if queue else {}
        return [self.ask(f"deployments/{found['id']}/create_flow_run", asked)["id"] for _ in range(count)]

    def tell(self, run_id: str, *states: str) -> None:
        """Tell the server that a run passed these states."""
        for state in states:
            self.ask(f"flow_runs/{run_id}/set_state", {"state": {"type": state}, "force": True})

    def wait_less(self, rule: str, within_s: float) -> float:
        """Shorten the wait of the automation with `rule` in its name; returns the seconds it waited before."""
        (found,) = [found for found in self.ask("automations/filter", {}) if rule in found["name"]]
        before, found["trigger"]["within"] = found["trigger"]["within"], within_s
        self.ask(f"automations/{found['id']}", {name: found[name] for name in KEPT_OF_RULES}, method="PUT")
        return before

    def beat(self, run_id: str) -> None:
        """Send the heartbeat of a run."""
        event = {
            "id": str(uuid4()),
            "occurred": datetime.now(UTC).isoformat(),
            "event": HEARTBEAT,
            "resource": {"prefect.resource.id": f"prefect.flow-run.{run_id}"},
        }
        self.ask("events", [event])

    def runs_of(self, deployment: str) -> list[dict[str, Any]]:
        """Runs of a deployment in this home, oldest first."""
        found = self.ask(f"deployments/name/{deployment}")
        wanted = {
            "deployments": {"id": {"any_": [found["id"]]}},
            "flow_runs": {"expected_start_time": {"after_": self._since.isoformat()}},
            "sort": "EXPECTED_START_TIME_ASC",
        }
        return self.ask("flow_runs/filter", wanted)
