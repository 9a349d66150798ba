"""Prefect and MLflow on PostgreSQL, as where they are shared: two pipelines at once, and nothing is lost."""

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from tasks.spine.stage.launch import end_tree
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.commands import Command, start
from tests.support.network import free_port, wait_for
from tests.support.postgres import NotHere, Postgres, running
from tests.support.small import MIDTRAIN_ONLY, SMALL

pytestmark = pytest.mark.slow

LEAN = {
    **SMALL,
    **MIDTRAIN_ONLY,
    "questions.tiny.count": 3,
    "evaluate.limit": 2,
    "evaluate.samples": 1,
    "runtime.num_threads": 1,
}
"""A pipeline whose shards mostly find nothing to do: what is tested is how they are recorded."""
LOCKED = re.compile(r"deadlock|database is locked|lock timeout|could not obtain lock|too many clients", re.IGNORECASE)


@dataclass(frozen=True)
class Servers:
    """A Prefect and an MLflow server on one PostgreSQL."""

    postgres: Postgres
    prefect: str
    mlflow: str
    logs: tuple[Path, ...]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[Servers]:
    ports = {"prefect": free_port(), "mlflow": free_port()}
    children: list[subprocess.Popen[bytes]] = []
    try:
        with running() as postgres:
            for name in ports:
                postgres.create(name)
            places = ["--backend-store-uri", postgres.address("psycopg2", "mlflow"), "--workers", "2"]
            files = ["--artifacts-destination", str(tmp_path / "files")]
            commands = {
                "prefect": ["prefect", "server", "start", "--host", "127.0.0.1", "--port", str(ports["prefect"])],
                "mlflow": ["mlflow", "server", "--port", str(ports["mlflow"]), *places, *files],
            }
            logs = {name: tmp_path / f"{name}.log" for name in ports}
            try:
                for name, command in commands.items():
                    children.append(_start(command, logs[name], tmp_path, postgres.address("asyncpg", "prefect")))
                addresses = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
                wait_for(f"{addresses['prefect']}/api/health")
                wait_for(f"{addresses['mlflow']}/health")
                yield Servers(postgres, addresses["prefect"], addresses["mlflow"], (*logs.values(), postgres.log))
            finally:
                for child in children:
                    end_tree(child.pid, grace_s=0)
    except NotHere as reason:
        pytest.skip(str(reason))


def _start(command: list[str], log: Path, home: Path, database: str) -> subprocess.Popen[bytes]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    settings = {
        "PREFECT_HOME": str(home / "server"),
        "PREFECT_API_DATABASE_CONNECTION_URL": database,
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    program = Path(sys.executable).with_name(command[0])
    with log.open("w") as file:
        return subprocess.Popen([program, *command[1:]], env={**inherited, **settings}, stdout=file, stderr=file)


def test_two_generations_at_once_lose_no_task_run(servers: Servers, tmp_path: Path) -> None:
    home = tmp_path / "home"
    # One shard of each has a question.
    run_two(servers, home, "generate", 12, {"questions.tiny.count": 1})
    assert len(Store.open(Settings(home=home)).all("samples")) == 2


@pytest.mark.long(reason="two whole pipelines at once, of 120 shards each: 40 of generation, 40 of each evaluation")
@pytest.mark.timeout(1500)
def test_two_pipelines_at_once_with_200_shards_lose_no_task_run(servers: Servers, tmp_path: Path) -> None:
    home = tmp_path / "home"
    run_two(servers, home, "polya", 40, {})
    assert len(Store.open(Settings(home=home)).all("report")) == 2


def run_two(servers: Servers, home: Path, flow: str, shards: int, overrides: dict[str, Any]) -> None:
    """Run a flow twice at the same time, at two seeds, and look at all that the servers recorded."""
    overrides = {**LEAN, **overrides, "runtime.num_shards": shards}
    commands = [_start_flow(servers, home, flow, {**overrides, "seed": seed}) for seed in (1, 2)]
    try:
        assert [command.wait(1200) for command in commands] == [0, 0], "\n".join(
            item.output[-3000:] for item in commands
        )
    finally:
        for command in commands:
            end_tree(command.process.pid)
    ask = servers.postgres.ask
    runs = ask("prefect", "select state_type, count(*) from task_run where name like 'generate-shard-%' group by 1")
    assert runs == [f"COMPLETED|{2 * shards}"]
    per_run = ask("prefect", "select count(distinct name) from task_run where name like 'generate-shard-%' "
                             "group by flow_run_id")  # fmt: skip
    assert per_run == [str(shards)] * 2
    assert ask("prefect", "select count(*) from task_run where state_type <> 'COMPLETED'") == ["0"]
    assert ask("prefect", "select count(*) from flow_run where state_type <> 'COMPLETED'") == ["0"]
    _check_mlflow(servers)
    for log in servers.logs:
        found = [line for line in log.read_text(errors="replace").splitlines() if LOCKED.search(line)]
        assert not found, f"{log.name}: {found[:5]}"
    for command in commands:
        assert "tracking is off" not in command.output


def _start_flow(servers: Servers, home: Path, flow: str, overrides: dict[str, Any]) -> Command:
    environment = {
        "PREFECT_API_URL": f"{servers.prefect}/api",
        "PREFECT_HOME": str(home / "prefect"),
        "PREFECT_LOCAL_STORAGE_PATH": str(home / "results"),
        "MIDTRAIN_TRACKING_URI": servers.mlflow,
    }
    return start(home, flow, overrides, **environment)


def _check_mlflow(servers: Servers) -> None:
    client = MlflowClient(servers.mlflow)
    experiment = client.get_experiment_by_name("midtrain")
    assert experiment is not None
    runs = client.search_runs([experiment.experiment_id], max_results=1000)
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    assert [run.info.status for run in parents] == ["FINISHED"] * 2
    assert len({run.data.tags["prefect.flow_run_id"] for run in parents}) == 2
    assert {run.info.status for run in runs} == {"FINISHED"}
    children = {json.dumps(run.data.tags["mlflow.parentRunId"]) for run in runs if run not in parents}
    assert len(children) == 2
