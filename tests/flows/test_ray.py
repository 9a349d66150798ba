"""Generation over a Ray cluster: the shards run on its nodes, and one that dies costs nothing but time."""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from flows.generate import generate
from tasks.artifacts.plan import planning
from tasks.artifacts.store import Store
from tasks.generation.schema import SAMPLES_FILE
from tasks.parquet import read_rows
from tests.conftest import ROOT
from tests.flows.commands import GENERATION, SLOWLY, gone, pooled, start, wait_until
from tests.flows.postgres import free_port

NODE = "TEST_RAY_NODE"
"""Environment variable by which all processes of a node are known."""
SHARDS = 6
SAMPLES = 32 * 6
"""Samples that `SLOWLY` wants."""
OVERRIDES = {**SLOWLY, "runtime.batch_size": 4, "runtime.flush_rows": 8, "runtime.num_shards": SHARDS}
QUICKLY = {"RAY_health_check_initial_delay_ms": "1000", "RAY_health_check_period_ms": "500"}
"""A node's death is known to the others within seconds, not half a minute."""


@dataclass
class RayNodes:
    """A Ray cluster with token authentication on this machine; every node has one CPU."""

    folder: Path
    port: int = field(default_factory=free_port)
    client_port: int = field(default_factory=free_port)
    _nodes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        (self.folder / "token").write_text(secrets.token_hex(16))

    @property
    def started(self) -> list[str]:
        """Names of the nodes."""
        return list(self._nodes)

    @property
    def environment(self) -> dict[str, str]:
        """Of all who talk to the cluster."""
        return {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN_PATH": str(self.folder / "token"),
            "RAY_USAGE_STATS_ENABLED": "0",
            **QUICKLY,
        }

    def start(self, name: str) -> None:
        """Start a node: the head, or one that joins it."""
        if name == "head":
            place = ["--head", "--port", str(self.port), "--ray-client-server-port", str(self.client_port)]
            place += ["--include-dashboard", "false", "--temp-dir", str(self.folder / "ray")]
        else:
            place = ["--address", f"127.0.0.1:{self.port}"]
        (self.folder / name).mkdir()
        inherited = {
            name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MIDTRAIN_"))
        }
        with (self.folder / f"{name}.log").open("w") as log:
            self._nodes[name] = subprocess.Popen(
                [str(Path(sys.executable).with_name("ray")), "start", "--block", "--num-cpus", "1", *place],
                cwd=self.folder / name,
                env={**inherited, **self.environment, "PYTHONPATH": str(ROOT), NODE: f"{self.port}-{name}"},
                stdout=log,
                stderr=log,
            )

    def wait_for(self, name: str) -> None:
        """Return when a node is up."""
        wait_until(lambda: "Ray runtime started" in (self.folder / f"{name}.log").read_text(), 90)

    def kill(self, name: str) -> None:
        """End all processes of a node at once, as a machine that loses power."""
        for process in self.processes(name):
            with suppress(psutil.Error):
                process.kill()
        self._nodes[name].wait()

    def processes(self, name: str, program: str = "") -> list[psutil.Process]:
        """Every process that a node started, with `program` in its command line."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(NODE) == f"{self.port}-{name}" and program in " ".join(process.cmdline()):
                    found.append(process)
        return found


@pytest.fixture
def nodes() -> Iterator[RayNodes]:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    # Short, because names of sockets are: a test's own folder is too deep.
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    nodes = RayNodes(folder)
    try:
        yield nodes
    finally:
        for name in nodes.started:
            nodes.kill(name)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_both_nodes_work_and_one_that_is_killed_loses_and_repeats_nothing(
    nodes: RayNodes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    nodes.start("head")
    nodes.wait_for("head")
    nodes.start("second")
    address = {"runtime.ray_address": f"127.0.0.1:{nodes.port}"}
    run = start(home, "generate", {**OVERRIDES, **address}, PYTHONPATH=str(ROOT), **nodes.environment)
    run.wait_until(lambda: nodes.processes("head", GENERATION) and nodes.processes("second", GENERATION))
    run.wait_until(lambda: any(samples_done(worker) > 8 for worker in nodes.processes("second", GENERATION)))
    nodes.kill("second")
    held = pooled(home)
    assert run.wait() == 0, run.output
    assert gone(home)
    assert not nodes.processes("second")

    monkeypatch.setenv("MIDTRAIN_HOME", str(home))
    with planning(Store.open()) as plan:
        generate.fn(overrides=OVERRIDES)
    assert [(row.stage, row.verdict) for row in plan.rows][-1] == ("generate", "hit"), "as without Ray"
    check_pool(home)
    assert 0 < len(held) < SAMPLES
    assert set(held) <= set(pooled(home))


def check_pool(home: Path) -> None:
    """Every wanted sample is there and was generated once, by the shards."""
    store = Store.open()
    (manifest,) = store.all("samples")
    keys = [row["key"] for row in read_rows(store.local(manifest.ref) / SAMPLES_FILE, ["key"])]
    assert len(set(keys)) == SAMPLES
    assert sorted(pooled(home)) == sorted(keys)
    assert manifest.summary["generated_now"] == 0


def samples_done(worker: psutil.Process) -> int:
    """Samples that a generation worker has reported."""
    with suppress(psutil.Error, FileNotFoundError, IndexError):
        return json.loads((Path(worker.cmdline()[-1]) / "progress.jsonl").read_text().splitlines()[-1])["done"]
    return 0
