"""One Prefect server for all flow tests, and one small pipeline of either method that several of them look at."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, PREFECT_LOCAL_STORAGE_PATH, temporary_settings
from prefect.testing.utilities import prefect_test_harness

from tasks.spine.store.store import Store
from tests.support.deployed import Deployed
from tests.support.homes import Databases
from tests.support.small import SMALL, SMALL_RMT, Run, run


@pytest.fixture(scope="session")
def prefect_server() -> Iterator[None]:
    """A temporary Prefect server; heartbeats off, because each flow would wait for its thread."""
    with prefect_test_harness(server_startup_timeout=180):
        yield


@pytest.fixture(scope="session")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Databases:
    """Databases for new homes to start with."""
    return Databases.make(tmp_path_factory.mktemp("databases"))


@pytest.fixture
def new_home(databases: Databases, tmp_path: Path) -> Path:
    """An empty home for commands, with databases that are up to date."""
    databases.copy_to(tmp_path / "home")
    return tmp_path / "home"


@pytest.fixture
def in_new_home(prefect_server: None, new_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in an empty home."""
    yield from _in_home(new_home, monkeypatch)


@pytest.fixture(scope="session")
def small_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`MIDTRAIN_HOME` of the one small pipeline."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def in_small_home(prefect_server: None, small_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in the home of the small pipeline."""
    yield from _in_home(small_home, monkeypatch)


@pytest.fixture(scope="session")
def finished(prefect_server: None, small_home: Path) -> Run:
    """The small pipeline, run once with everything real; other tests look at what it left."""
    from flows.polya import polya

    return _run_in(small_home, polya, recipe="tiny-cpu", overrides=SMALL)


@pytest.fixture
def store(in_small_home: Path) -> Store:
    """The store of the small pipeline."""
    return Store.open()


@pytest.fixture(scope="session")
def rmt_home(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`MIDTRAIN_HOME` of the one small run of reinforcement mid-training."""
    home = tmp_path_factory.mktemp("rmt") / "home"
    databases.copy_to(home)
    return home


@pytest.fixture
def in_rmt_home(prefect_server: None, rmt_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Work in that home."""
    yield from _in_home(rmt_home, monkeypatch)


@pytest.fixture(scope="session")
def finished_rmt(prefect_server: None, rmt_home: Path) -> Run:
    """The small run of reinforcement mid-training; other tests look at what it left."""
    from flows.rmt import rmt

    return _run_in(rmt_home, rmt, recipe="tiny-cpu-rmt", overrides=SMALL_RMT)


@pytest.fixture(scope="session")
def deployed(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A server on which everything is deployed; it has no worker yet, and no test may end it for good."""
    with Deployed(tmp_path_factory.mktemp("deployed"), databases) as server:
        server.midtrain("deploy", *server.hosts)
        yield server


@pytest.fixture(scope="module")
def server(deployed: Deployed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """The same server with a worker on each pool, whose runs work in a home of this file's tests."""
    with deployed.with_workers(tmp_path_factory.mktemp("deployed")):
        yield deployed


def _run_in(home: Path, flow: Any, **parameters: Any) -> Run:
    with pytest.MonkeyPatch.context() as patch:
        context = _in_home(home, patch)
        next(context)
        result = run(flow, **parameters)
        next(context, None)
    return result


def _in_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("MIDTRAIN_HOME", str(home))
    # Set by MLflow itself in a test that registered a model.
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    updates = {PREFECT_LOCAL_STORAGE_PATH: home / "results", PREFECT_FLOWS_HEARTBEAT_FREQUENCY: None}
    with temporary_settings(updates):
        yield home
