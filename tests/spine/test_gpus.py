"""GPUs of workers: one without a launcher, another for the worker beside it, and with one as many as it asks for."""

import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tasks.spine.stage import gpus
from tasks.spine.stage.gpus import (
    VARIABLE,
    WHOLE,
    gpus_for_worker,
    parts_here,
    shards_here,
    visible_gpus,
    workers_at_once,
)
from tasks.spine.stage.stage import Build
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tests.support.paths import ROOT
from tests.support.toy_stage import Seen, ToyConfig, toy
from tests.support.toy_worker import ToyJob

DRIVER = """#!/bin/sh
echo 'GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-1)'
echo '  MIG 3g.40gb     Device  0: (UUID: MIG-1)'
echo 'GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-2)'
"""
"""What stands in for the driver's tool."""


def seen_by(settings: Settings, runtime: Runtime, name: str = "a", **worker: object) -> str:
    """GPUs that a worker of a stage sees."""
    seen: list[str] = []

    def body(build: Build, config: ToyConfig) -> None:
        job = ToyJob(shows=(VARIABLE,))
        seen.append(build.worker("tests.support.toy_worker", job, **worker).get(VARIABLE, "not set"))
        (build.out / "done").touch()

    toy(settings, body, config=ToyConfig(text=name), runtime=runtime)
    return seen[0]


def test_a_worker_gets_one_gpu_an_engine_those_it_spans_and_a_launcher_one_for_each_process(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "2, 5,7,1")
    launcher = ("-m", "tests.support.run_module")
    assert seen_by(settings, Runtime()) == "2"
    assert seen_by(settings, Runtime(), "b", gpus=2) == "2,5"
    assert seen_by(settings, Runtime(num_processes=3), "c", prefix=launcher) == "2,5,7"
    own = Runtime(accelerate_config=str(ROOT / "mine.yaml"))
    assert seen_by(settings, own, "d", prefix=launcher) == "2,5,7,1"


def test_workers_at_the_same_time_get_one_each_and_share_when_there_are_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, "4,6")
    together = threading.Barrier(3, timeout=60)

    def arm(_: int) -> str:
        with gpus_for_worker(1) as environment:
            together.wait()
            return environment[VARIABLE]

    for _ in range(2):
        with ThreadPoolExecutor(3) as pool:
            handed_out = list(pool.map(arm, range(3)))
        assert set(handed_out) == {"4", "6"}


@pytest.mark.parametrize(
    ("runtime", "gpus", "shards", "at_once"),
    [
        ({}, 1, 4, 4),
        ({}, 2, 2, 2),
        ({}, 8, 1, 1),
        ({"num_shards": 9}, 1, 9, 4),
        ({"concurrent_arms": 2}, 1, 2, 2),
        ({"device": "cpu"}, 1, 1, 1),
    ],
)
def test_work_is_spread_over_the_gpus_of_this_machine_and_arms_at_the_same_time_share_them(
    runtime: dict[str, Any], gpus: int, shards: int, at_once: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "0,1,2,3")
    assert shards_here(Runtime(**runtime), gpus) == shards
    assert workers_at_once(Runtime(**runtime), gpus) == at_once


def test_on_a_cpu_work_is_spread_only_where_asked_and_over_threads_that_do_not_meet(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.setattr("os.cpu_count", lambda: 8)
    assert shards_here(Runtime(num_threads=2)) == 1
    assert workers_at_once(Runtime(num_shards=3, num_threads=2)) == 4
    assert workers_at_once(Runtime(num_shards=3)) == 1, "each takes all of them"


def test_parts_are_as_many_as_there_is_work_for_and_a_host_without_gpus_beside_a_cluster_is_told_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(VARIABLE, "0,1,2,3")
    on_ray = Runtime(ray_address="head:6379", num_shards=64)
    assert [(part.index, part.of) for part in parts_here(on_ray, 3)] == [(0, 3), (1, 3), (2, 3)]
    assert len(parts_here(on_ray, 100)) == 4
    assert parts_here(on_ray, 0) == [WHOLE]
    assert not caplog.records
    monkeypatch.setenv(VARIABLE, "")
    assert parts_here(on_ray, 3) == [WHOLE]
    assert "head:6379 spreads samples alone" in caplog.text


def test_workers_of_one_stage_have_a_gpu_each_and_one_progress(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "4,6")
    seen: list[str] = []

    def body(build: Build, config: ToyConfig) -> None:
        jobs = [ToyJob(shows=(VARIABLE,), steps=2), ToyJob(shows=(VARIABLE,), steps=3)]
        seen.extend(result[VARIABLE] for result in build.workers("tests.support.toy_worker", jobs, name="toy"))
        (build.out / "done").touch()

    watcher = Seen()
    toy(settings, body, watcher=watcher)
    assert sorted(seen) == ["4", "6"]
    lines = [line for line in watcher.lines if "done" in line]
    assert {name: lines[-1][name] for name in ("done", "total")} == {"done": 5, "total": 5}
    assert lines[-1]["values"] == {"tokens_per_s": 50.0}
    assert [line["done"] for line in lines] == sorted(line["done"] for line in lines)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only folder with programs, of which the commit of an artifact needs one; the driver is asked anew."""
    folder = tmp_path / "programs"
    folder.mkdir()
    (folder / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(folder))
    gpus._listed_by_driver.cache_clear()
    yield folder
    gpus._listed_by_driver.cache_clear()


def put_tool(programs: Path, text: str) -> None:
    """Write what stands in for the driver's tool."""
    (programs / "nvidia-smi").write_text(text)
    (programs / "nvidia-smi").chmod(0o755)
    gpus._listed_by_driver.cache_clear()


def test_without_a_choice_of_the_user_the_driver_says_what_there_is(settings: Settings, programs: Path) -> None:
    assert seen_by(settings, Runtime()) == "not set"
    put_tool(programs, DRIVER)
    assert visible_gpus() == ["0", "1"]
    assert seen_by(settings, Runtime(), "b") == "0"


LIBRARY = """
int cuInit(unsigned flags) { return 0; }
int cuDeviceGetCount(int *count) { *count = 3; return 0; }
"""
"""What stands in for the driver's library."""
COMPILER = shutil.which("cc") or ""


@pytest.mark.skipif(not COMPILER, reason="a library is compiled")
@pytest.mark.parametrize("tool", ["", "#!/bin/sh\nexit 9\n"], ids=["no tool", "a tool that fails"])
def test_where_the_drivers_tool_tells_nothing_its_library_does(
    tool: str, settings: Settings, programs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cuda.c").write_text(LIBRARY)
    compiled = [COMPILER, "-shared", "-fPIC", "-o", str(tmp_path / "libcuda.so.1"), str(tmp_path / "cuda.c")]
    subprocess.run(compiled, check=True, env={"PATH": os.defpath})
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))
    if tool:
        put_tool(programs, tool)
    assert visible_gpus() == ["0", "1", "2"]
    assert seen_by(settings, Runtime()) == "0"
    assert shards_here(Runtime()) == 3


def test_gpus_that_the_user_hides_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "-1"):
        monkeypatch.setenv(VARIABLE, value)
        assert visible_gpus() == []
        with gpus_for_worker(1) as environment:
            assert environment == {}
