"""The Prefect and MLflow servers on this installation's data, for one person."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from rich.console import Console

from flows.server.environment import prepare
from tasks.spine.stage.context import run_context
from tasks.spine.stage.launch import end_tree
from tasks.spine.store.files import Files
from tasks.spine.store.settings import Settings
from tasks.spine.tracking.own_database import follow_home
from tasks.spine.tracking.pages import OF_TRAINING, SERVERS, running_servers

START_TIMEOUT_S = 120.0
HOST = "127.0.0.1"
PAGES = {"MLflow": f"/#/experiments?{OF_TRAINING}"}
"""Where to begin, if not at a server's first page."""
LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}
"""Prefect's default keeps in memory who holds a slot: a restart of the server would leave it taken for good."""


def serve(prefect_port: int, mlflow_port: int, console: Console) -> int:
    """Run both servers until Ctrl-C or SIGTERM; runs started meanwhile use the Prefect server by themselves."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    settings = run_context().settings
    running = running_servers(settings.root)
    if running:
        console.print(f"The servers already run: Prefect {running.get('prefect_api', '').removesuffix('/api')}")
        return 1
    prepare(settings)
    follow_home(settings)
    addresses = {"Prefect": f"http://{HOST}:{prefect_port}", "MLflow": f"http://{HOST}:{mlflow_port}"}
    children: list[subprocess.Popen[bytes]] = []
    try:
        children = [_start(command, settings.root, name) for name, command in _commands(settings, addresses).items()]
        for (name, address), child in zip(addresses.items(), children, strict=True):
            _wait(address, child, settings.root / f"{name.lower()}-server.log")
            console.print(f"{name + ':':<9}{address}{PAGES.get(name, '')}", soft_wrap=True)
        servers = {
            "prefect_api": f"{addresses['Prefect']}/api",
            "mlflow": addresses["MLflow"],
            "mlflow_uri": settings.mlflow_uri,
            "pid": os.getpid(),
        }
        Files(str(settings.root)).write_text(SERVERS, json.dumps(servers))
        console.print("Ctrl-C ends both.")
        while all(child.poll() is None for child in children):
            time.sleep(0.5)
        console.print("A server ended; see the logs in", str(settings.root))
        return 1
    except KeyboardInterrupt:
        return 0
    finally:
        (settings.root / SERVERS).unlink(missing_ok=True)
        for child in children:
            end_tree(child.pid)


def _commands(settings: Settings, addresses: dict[str, str]) -> dict[str, list[str]]:
    ports = {name: address.rpartition(":")[2] for name, address in addresses.items()}
    mlflow = ["--backend-store-uri", settings.mlflow_uri, "--workers", "1"]
    return {
        "Prefect": ["prefect", "server", "start", "--host", HOST, "--port", ports["Prefect"]],
        "MLflow": ["mlflow", "server", "--host", HOST, "--port", ports["MLflow"], *mlflow],
    }


def _start(command: list[str], root: Path, name: str) -> subprocess.Popen[bytes]:
    program = Path(sys.executable).with_name(command[0])
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    address = f"http://{HOST}:{command[command.index('--port') + 1]}/api"
    if name == "Prefect":
        environment |= {**LEASES, "PREFECT_UI_API_URL": address}
    with (root / f"{name.lower()}-server.log").open("w") as log:
        return subprocess.Popen([str(program), *command[1:]], stdout=log, stderr=log, env=environment)


def _wait(address: str, child: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < deadline:
        if child.poll() is not None:
            raise ValueError(f"the server for {address} ended at once; is the port taken? Its log: {log}")
        try:
            with urllib.request.urlopen(address, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.3)
    raise ValueError(f"no answer from {address} within {START_TIMEOUT_S:.0f} s; its log: {log}")
