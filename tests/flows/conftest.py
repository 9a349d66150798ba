"""One Prefect server for all flow tests, and one small pipeline that several of them look at."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from tasks.artifacts.manifest import Manifest
from tasks.artifacts.ref import ArtifactRef
from tasks.artifacts.store import Store
from tasks.artifacts.task import journal

SMALL: dict[str, Any] = {
    "questions.tiny.count": 16,
    "rl_questions.tiny.count": 16,
    "midtraining.epochs": 1,
    "rl.steps": 2,
    "rl.group_size": 4,
    "rl.prompts_per_step": 4,
    "evaluation.benchmarks": ["tiny-test"],
    "evaluation.limit": 8,
    "evaluation.samples": 2,
    "evaluation.resamples": 200,
}
"""Overrides that make the tiny pipeline as small as it can be and still pass every stage."""


@dataclass
class Run:
    """A finished pipeline."""

    ref: ArtifactRef
    stages: list[tuple[str, Manifest, bool]]

    @property
    def built(self) -> list[str]:
        """Names of the stages that did work."""
        return [name for name, _, hit in self.stages if not hit]


def run(flow: Any, **parameters: Any) -> Run:
    """Call a flow and note the stages it passes."""
    stages: list[tuple[str, Manifest, bool]] = []
    token = journal.set(stages)
    try:
        return Run(flow(**parameters), stages)
    finally:
        journal.reset(token)


@pytest.fixture(scope="session", autouse=True)
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server; heartbeats off, because each flow would wait for its thread."""
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`MIDTRAIN_HOME` of the one small pipeline."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def in_small_home(small_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in the home of the small pipeline."""
    yield from _in_home(small_home, monkeypatch)


@pytest.fixture
def in_new_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty home."""
    yield from _in_home(tmp_path, monkeypatch)


def _in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MIDTRAIN_HOME", str(home))
    updates = {PREFECT_LOCAL_STORAGE_PATH: home / "results", PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(updates):
        yield home


@pytest.fixture(scope="session")
def finished(prefect_server: None, small_home: Path) -> Run:
    """The small pipeline, run once with everything real; other tests look at what it left."""
    from flows.polya import polya

    with pytest.MonkeyPatch.context() as patch:
        context = _in_home(small_home, patch)
        next(context)
        result = run(polya, recipe="tiny-cpu", overrides=SMALL)
        next(context, None)
    return result


@pytest.fixture
def store(in_small_home: Path) -> Store:
    """The store of the small pipeline."""
    return Store.open()
