"""The Prefect and MLflow servers on this installation's data, for one person."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from rich.console import Console

from flows.server.environment import HOST, prepare, server_command
from tasks.spine.process import Interrupted, interrupts, own_identity
from tasks.spine.stage.context import run_context
from tasks.spine.stage.launch import end_tree
from tasks.spine.store.files import Files
from tasks.spine.store.settings import Settings
from tasks.spine.tracking.own_database import follow_home
from tasks.spine.tracking.pages import OF_TRAINING, SERVERS, running_servers

START_TIMEOUT_S = 120.0
CLOSE_EVERY_S = 60.0
"""Between two looks for runs of commands that were killed."""
PORTS_TRIED = 100
"""Ports behind one that is taken, of which the first free one is proposed."""
LAST_PORT = 65535
PAGES = {"MLflow": f"/#/experiments?{OF_TRAINING}"}
"""Where to begin, if not at a server's first page."""
LEASES = {"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem"}
"""Prefect's default keeps in memory who holds a slot: a restart of the server would leave it taken for good."""


def serve(prefect_port: int, mlflow_port: int, console: Console) -> int:
    """Run both servers until Ctrl-C or SIGTERM; runs started meanwhile use the Prefect server by themselves."""
    with interrupts() as received:
        try:
            return _serve(prefect_port, mlflow_port, console, received)
        except Interrupted:
            return 0


def _serve(prefect_port: int, mlflow_port: int, console: Console, received: list[int]) -> int:
    settings = run_context().settings
    running = running_servers(settings.root)
    if running:
        console.print(f"The servers already run: Prefect {running.get('prefect_api', '').removesuffix('/api')}")
        return 1
    prepare(settings)
    check_ports({"prefect": prefect_port, "mlflow": mlflow_port})
    follow_home(settings)
    addresses = {"Prefect": f"http://{HOST}:{prefect_port}", "MLflow": f"http://{HOST}:{mlflow_port}"}
    children: list[subprocess.Popen[bytes]] = []
    try:
        children = [_start(name, addresses[name], settings) for name in addresses]
        for (name, address), child in zip(addresses.items(), children, strict=True):
            _wait(address, child, settings.root / f"{name.lower()}-server.log")
            console.print(f"{name + ':':<9}{address}{PAGES.get(name, '')}", soft_wrap=True)
        servers = {
            "prefect_api": f"{addresses['Prefect']}/api",
            "mlflow": addresses["MLflow"],
            "mlflow_uri": settings.mlflow_shown,
            "command": own_identity(),
        }
        Files(str(settings.root)).write_text(SERVERS, json.dumps(servers))
        console.print("Ctrl-C ends both.")
        os.environ["PREFECT_API_URL"] = servers["prefect_api"]
        from flows.server.left_runs import close_left_runs

        due = 0.0
        while not received and all(child.poll() is None for child in children):
            if time.monotonic() >= due:
                close_left_runs(settings)
                due = time.monotonic() + CLOSE_EVERY_S
            time.sleep(0.5)
        if not received:
            console.print("A server ended; see the logs in", str(settings.root))
        return 0 if received else 1
    finally:
        (settings.root / SERVERS).unlink(missing_ok=True)
        for child in children:
            end_tree(child.pid)


def check_ports(ports: dict[str, int]) -> None:
    """Refuse ports that something listens on: its pages would be taken for ours."""
    if len(set(ports.values())) < len(ports):
        raise ValueError(f"both servers on port {ports['prefect']}; pass another --mlflow-port")
    for name, port in ports.items():
        if not 0 < port <= LAST_PORT:
            raise ValueError(f"port {port} is none; pass one from 1 to {LAST_PORT} as --{name}-port")
        if trouble := _trouble_with(port):
            free = next((other for other in range(port + 1, port + PORTS_TRIED) if not _trouble_with(other)), "PORT")
            raise ValueError(f"port {port} cannot be had ({trouble}); pass another, such as --{name}-port {free}")


def _trouble_with(port: int) -> Exception | None:
    """Why a server cannot have that port; None where it can."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return error
    return None


def _start(name: str, address: str, settings: Settings) -> subprocess.Popen[bytes]:
    port = int(address.rpartition(":")[2])
    environment = {key: value for key, value in os.environ.items() if key != "PREFECT_API_URL"}
    if name == "Prefect":
        command = server_command(port)
        environment |= {"PREFECT__SERVER_FINAL": "1", "PREFECT_UI_API_URL": f"{address}/api", **LEASES}
        # For links in messages.
        environment |= {"PREFECT_UI_URL": address}
        origins = ",".join(f"http://{local}:{port}" for local in (HOST, "localhost"))
        environment |= {"PREFECT_SERVER_CORS_ALLOWED_ORIGINS": origins}
    else:
        command = [sys.executable, "-m", "mlflow", "server", "--app-name", "midtrain", "--workers", "1"]
        command += ["--host", HOST, "--port", str(port)]
        # In the environment: everybody sees a command line, and the address may hold a password.
        environment |= {"MLFLOW_BACKEND_STORE_URI": settings.mlflow_uri}
    with (settings.root / f"{name.lower()}-server.log").open("w") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environment)


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
