"""One Prefect server for all flow tests, and one small pipeline that several of them look at."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from tasks.spine.store.store import Store
from tests.support.small import SMALL, Run, run


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server; heartbeats off, because each flow would wait for its thread."""
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`MIDTRAIN_HOME` of the one small pipeline."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def in_small_home(prefect_server: None, small_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in the home of the small pipeline."""
    yield from _in_home(small_home, monkeypatch)


@pytest.fixture(scope="session")
def rmt_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`MIDTRAIN_HOME` of the one small run of reinforcement mid-training."""
    return tmp_path_factory.mktemp("rmt")


@pytest.fixture
def in_rmt_home(prefect_server: None, rmt_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in that home."""
    yield from _in_home(rmt_home, monkeypatch)


@pytest.fixture
def in_new_home(prefect_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty home."""
    yield from _in_home(tmp_path, monkeypatch)


def _in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MIDTRAIN_HOME", str(home))
    # Set by MLflow itself in a test that registered a model.
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
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
