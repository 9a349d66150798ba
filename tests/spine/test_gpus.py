"""GPUs of workers: one without a launcher, another for the worker beside it, and with one as many as it asks for."""

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tasks.spine.stage import gpus
from tasks.spine.stage.gpus import VARIABLE, gpus_for_worker, visible_gpus
from tasks.spine.stage.stage import Build
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tests.support.paths import ROOT
from tests.support.toy_stage import ToyConfig, toy
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


def test_without_a_choice_of_the_user_the_driver_says_what_there_is(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    gpus._listed_by_driver.cache_clear()
    assert seen_by(settings, Runtime()) == "not set"
    (tmp_path / "nvidia-smi").write_text(DRIVER)
    (tmp_path / "nvidia-smi").chmod(0o755)
    gpus._listed_by_driver.cache_clear()
    try:
        assert visible_gpus() == ["0", "1"]
        assert seen_by(settings, Runtime(), "b") == "0"
    finally:
        gpus._listed_by_driver.cache_clear()


def test_gpus_that_the_user_hides_stay_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for value in ("", "-1"):
        monkeypatch.setenv(VARIABLE, value)
        assert visible_gpus() == []
        with gpus_for_worker(1) as environment:
            assert environment == {}
