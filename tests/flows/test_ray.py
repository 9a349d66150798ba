"""Sampling over a Ray cluster: the shards run on its nodes, and one that dies costs nothing but time."""

import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
from prefect.settings import PREFECT_API_KEY, PREFECT_API_URL, temporary_settings

from flows.pipeline.shards import fill_pool
from flows.stages.generate import generate
from tasks.errors import Permanent
from tasks.generate.config import GenerateConfig
from tasks.generate.task import GENERATE, wanted_samples
from tasks.shared.sampling.schema import SAMPLES_FILE
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.plan import planning
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.commands import GENERATION, SLOWLY, batches, gone, pooled, processes, start, wait_until
from tests.support.network import free_port
from tests.support.paths import ROOT
from tests.support.small import run as run_here

NODE = "TEST_RAY_NODE"
"""Environment variable by which all processes of a node are known."""
SAMPLES = 32 * 6
"""Samples that `SLOWLY` wants."""
OVERRIDES = {**SLOWLY, "runtime.batch_size": 4, "runtime.flush_rows": 8, "runtime.num_shards": 4}
LOCAL = {**SLOWLY, "runtime.num_shards": 2, "runtime.ray_address": "local"}
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
        """Variables for all who talk to the cluster."""
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
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("PREFECT_", "MIDTRAIN_", "MLFLOW_"))
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
def short_folder() -> Iterator[Path]:
    """A folder for Ray's files; the names of its sockets would be too long in a test's own."""
    pytest.importorskip("prefect_ray", reason="the extra `ray` is not installed")
    folder = Path(tempfile.mkdtemp(prefix="ray-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def nodes(short_folder: Path) -> Iterator[RayNodes]:
    nodes = RayNodes(short_folder)
    yield nodes
    for name in nodes.started:
        nodes.kill(name)


@pytest.mark.slow
@pytest.mark.long(reason="starts two Ray nodes, kills one, and waits until Ray knows it")
def test_both_nodes_work_and_one_that_is_killed_loses_and_repeats_nothing(
    nodes: RayNodes, new_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = new_home
    nodes.start("head")
    nodes.wait_for("head")
    nodes.start("second")
    address = {"runtime.ray_address": f"127.0.0.1:{nodes.port}"}
    run = start(home, "generate", {**OVERRIDES, **address}, PYTHONPATH=str(ROOT), **nodes.environment)
    run.wait_until(lambda: nodes.processes("head", GENERATION) and nodes.processes("second", GENERATION), 300)
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


@pytest.fixture
def ray_here(short_folder: Path) -> dict[str, str]:
    """Environment of a command that starts Ray on this machine, whose files and token would lie elsewhere."""
    (short_folder / "token").write_text(secrets.token_hex(16))
    token = {"RAY_AUTH_TOKEN_PATH": str(short_folder / "token")}
    return {"RAY_TMPDIR": str(short_folder), "PYTHONPATH": str(ROOT), **token}


@pytest.mark.slow
def test_a_failed_shard_is_named_after_the_others_have_finished_and_is_all_that_the_next_run_makes(
    in_new_home: Path, ray_here: dict[str, str]
) -> None:
    home, few = in_new_home, {"questions.tiny.count": 6}
    run = start(home, "generate", {**LOCAL, **few}, **ray_here)
    run.wait_until(lambda: processes(home, GENERATION))
    victim = processes(home, GENERATION)[0].cmdline()[-1]
    while run.process.poll() is None:
        for worker in processes(home, victim):
            with suppress(psutil.Error):
                worker.kill()
        time.sleep(0.1)
    assert run.process.returncode == 1
    assert re.search(r"1 of 2 shards failed \(generate-shard-[01]\).* ended with exit code -9", run.output)
    kept = pooled(home)
    assert len(kept) == len(set(kept)) == 3 * 6, "the other shard's"

    assert run_here(generate, overrides={**SLOWLY, **few}).built == ["generate"]
    assert len(pooled(home)) == len(set(pooled(home))) == 6 * 6
    assert set(kept) < set(pooled(home))


@pytest.mark.slow
@pytest.mark.long(reason="starts Ray, and an engine on each of its workers")
def test_evaluation_spreads_over_ray_as_generation_does(
    tmp_path: Path, ray_here: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    home, few = tmp_path / "home", {"evaluate.benchmarks": ["tiny-test"], "evaluate.limit": 6, "evaluate.samples": 2}
    run = start(home, "evaluate", {**LOCAL, **few, "evaluate.resamples": 200}, **ray_here)
    assert run.wait() == 0, run.output
    assert "evaluate-shard-0" in run.output
    assert "evaluate-shard-1" in run.output
    monkeypatch.setenv("MIDTRAIN_HOME", str(home))
    (manifest,) = Store.open().all("evaluation")
    assert manifest.rows == {"tiny-test": 6 * 3}
    assert len(pooled(home)) == len(set(pooled(home))) == 6 * 3
    # Each shard has made its samples and its greedy completions; the stage has added no batch.
    assert len(batches(home)) == 2 * 2


@pytest.mark.slow
def test_a_cancel_ends_a_run_over_ray_as_any_other(new_home: Path, ray_here: dict[str, str]) -> None:
    home = new_home
    run = start(home, "generate", LOCAL, **ray_here)
    run.wait_until(lambda: len(processes(home, GENERATION)) == 2)
    run.process.terminate()
    assert run.wait(60) == 128 + signal.SIGTERM, run.output
    assert gone(home)


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


def test_without_ray_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "flows.pipeline.shards_on_ray", raising=False)
    monkeypatch.setitem(sys.modules, "prefect_ray", None)
    with pytest.raises(Permanent, match=r"ray_address=head:6379 .*midtrain\[ray\]"):
        fill_pool(GENERATE, wanted_samples, GenerateConfig(), Runtime(ray_address="head:6379"), {})


def test_a_node_gets_absolute_places_and_no_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pytest.importorskip("prefect_ray", reason="the extra `ray` is not installed")
    from flows.pipeline.shards_on_ray import HANDED_OVER, node_environment

    monkeypatch.chdir(tmp_path)
    for name in HANDED_OVER:
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SECRET_ACCESS_KEY", "OPENAI_API_KEY", "PREFECT_API_AUTH_STRING", "RAY_AUTH_TOKEN"):
        monkeypatch.setenv(name, "secret")
    monkeypatch.setenv("MIDTRAIN_TRACKING_URI", "postgresql://user:secret@host/mlflow")
    monkeypatch.setenv("PREFECT_LOGGING_EXTRA_LOGGERS", "flows,tasks")
    with temporary_settings({PREFECT_API_URL: "http://prefect:4200/api", PREFECT_API_KEY: "secret"}):
        assert node_environment(Settings(home=Path("data"), store="shared")) == {
            "MIDTRAIN_HOME": str(tmp_path / "data"),
            "MIDTRAIN_STORE": str(tmp_path / "shared"),
            "PREFECT_API_URL": "http://prefect:4200/api",
            "PREFECT_LOGGING_EXTRA_LOGGERS": "flows,tasks",
        }
        assert node_environment(Settings(store="s3://bucket/store"))["MIDTRAIN_STORE"] == "s3://bucket/store"
    with temporary_settings({PREFECT_API_URL: None}), pytest.raises(ValueError, match="set PREFECT_API_URL"):
        node_environment(Settings())


@pytest.mark.parametrize(
    ("runtime", "gpus"),
    [
        ({}, 2),
        ({"device": "cuda"}, 2),
        ({"device": "cpu"}, 0),
        ({"engine": "openai"}, 0),
    ],
)
def test_a_shard_takes_the_gpus_of_one_engine(runtime: dict[str, Any], gpus: int) -> None:
    pytest.importorskip("prefect_ray", reason="the extra `ray` is not installed")
    from flows.pipeline.shards_on_ray import node_needs

    needs = node_needs(Runtime(tensor_parallel_size=2, num_threads=4, **runtime), {"CPU": 8.0, "GPU": 4.0})
    assert (needs["num_cpus"], needs["num_gpus"]) == (4, gpus)


def test_a_shard_takes_one_cpu_of_a_cluster_without_gpus() -> None:
    pytest.importorskip("prefect_ray", reason="the extra `ray` is not installed")
    from flows.pipeline.shards_on_ray import node_needs

    needs = node_needs(Runtime(tensor_parallel_size=2), {"CPU": 8.0})
    assert (needs["num_cpus"], needs["num_gpus"]) == (1, 0)
