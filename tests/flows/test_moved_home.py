"""A home that was moved or copied goes on where it is now, whatever characters its path has."""

import os
import shutil
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, make_url, text

from flows.server.environment import prepare
from tasks.spine.store.files import Files
from tasks.spine.store.settings import Settings, sqlite_address
from tasks.spine.store.store import Store
from tasks.spine.tracking.own_database import follow_home
from tasks.spine.tracking.tracker import Tracker
from tests.support.publishing import publishing

ODD = ("with space", "50%", "a%41b", "a#b", "a?b=c&d", "größe", "it's", 'a"b', "a[b]*", "a::b", "a;b", "~a", "a{b}$c")


@pytest.mark.parametrize("name", ODD)
def test_a_store_works_below_any_path(tmp_path: Path, name: str) -> None:
    settings = Settings(home=tmp_path / name)
    store = Store.open(settings)
    made = publishing(tmp_path)(store, "dataset", files={"deep/a [1].txt": "x"})
    assert store.find("dataset", made.fingerprint) == store.manifest(str(made.ref)) == made
    assert store.all() == [made]
    assert (store.local(made.ref) / "deep" / "a [1].txt").read_text() == "x"
    store.files.remove(made.ref.path)
    assert store.find("dataset", made.fingerprint) is None
    assert {path.name for path in tmp_path.iterdir()} == {name}


def test_brackets_in_a_path_are_no_pattern_when_files_go(tmp_path: Path) -> None:
    for name in ("[ab]", "a", "b"):
        Files(str(tmp_path / name)).write_text("x/file", name)
    Files(str(tmp_path / "[ab]")).remove("x")
    assert sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("file")) == ["a/x/file", "b/x/file"]


@pytest.mark.parametrize("name", ODD)
def test_the_databases_lie_in_the_home(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLAlchemy decodes percent signs and takes what follows a question mark for options."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    settings = Settings(home=tmp_path / name)
    settings.root.mkdir()
    assert settings.mlflow_file == settings.root / "mlflow.db"
    with create_engine(settings.mlflow_uri).begin() as connection:
        connection.execute(text("CREATE TABLE t (x INTEGER)"))
    assert [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*")] == [name, f"{name}/mlflow.db"]
    address = sqlite_address("sqlite+aiosqlite", settings.root / "prefect.db")
    assert make_url(address).database == str(settings.root / "prefect.db")


@pytest.mark.parametrize(("name", "told"), [("plain", False), ("a?b", True), ("a%41", True)])
def test_prefect_is_told_of_its_database_where_it_would_miss_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, told: bool
) -> None:
    chosen = ("PREFECT_API_URL", "PREFECT_HOME", "PREFECT_PROFILE", "PREFECT_API_DATABASE_CONNECTION_URL")
    environment = {key: value for key, value in os.environ.items() if key not in chosen}
    monkeypatch.setattr("os.environ", environment)
    prepare(Settings(home=tmp_path / name))
    assert ("PREFECT_API_DATABASE_CONNECTION_URL" in environment) == told


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "page.html"
    path.write_text("a report")
    return path


def reported(settings: Settings, page: Path) -> Tracker:
    """A pipeline run with a report, as every pipeline makes one."""
    tracker = Tracker("run", settings=settings)
    tracker.start_pipeline()
    tracker.log_report(str(page), "# Report")
    assert not tracker.broken
    return tracker


def artifacts(tracker: Tracker) -> dict[str, list[str]]:
    """Names of the files of every run, by where MLflow says that they are."""
    runs = tracker.client.search_runs([tracker.experiment_id])
    return {
        run.info.artifact_uri: [file.path for file in tracker.client.list_artifacts(run.info.run_id)] for run in runs
    }


@pytest.mark.parametrize("copied", [False, True])
def test_mlflow_follows_a_home_that_was_moved_or_copied(
    new_home: Path, tmp_path: Path, page: Path, monkeypatch: pytest.MonkeyPatch, copied: bool
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    first = reported(Settings(home=new_home), page)
    assert len(artifacts(first)) == 1
    there = tmp_path / "elsewhere, 50%?"
    shutil.copytree(new_home, there)
    if not copied:
        shutil.rmtree(new_home)
    before = sorted(new_home.rglob("*")) if copied else []
    second = reported(Settings(home=there), page)
    found = artifacts(second)
    assert len(found) == 2
    for place, names in found.items():
        assert place.startswith(f"{there.as_uri()}/mlflow-artifacts/")
        assert names == ["page.html"]
    assert (sorted(new_home.rglob("*")) if copied else []) == before
    assert {path.name for path in tmp_path.iterdir()} >= {there.name}
    assert not (tmp_path / "elsewhere, 50%25%3F").exists()


def test_what_points_to_another_place_is_left_alone(tmp_path: Path) -> None:
    """Runs of other experiments, with artifacts on a server or in a neighbour whose name begins alike."""
    home = tmp_path / "home"
    home.mkdir()
    old = tmp_path / "old"
    places = ("mlflow-artifacts:/1/a", f"file://{tmp_path}/old2/mlflow-artifacts/a")
    with sqlite3.connect(home / "mlflow.db") as database:
        database.execute("CREATE TABLE experiments (artifact_location TEXT)")
        database.execute("CREATE TABLE runs (artifact_uri TEXT)")
        database.execute("CREATE TABLE datasets (dataset_source TEXT)")
        database.execute("INSERT INTO experiments VALUES (?)", (f"file://{old}/mlflow-artifacts",))
        ours = f"file://{old}/mlflow-artifacts/b"
        database.executemany("INSERT INTO runs VALUES (?)", [(place,) for place in (*places, ours)])
        database.execute("INSERT INTO datasets VALUES (?)", (f'{{"uri": "{old}/store/dataset/ab"}}',))
    follow_home(Settings(home=home))
    with sqlite3.connect(home / "mlflow.db") as database:
        runs = {place for (place,) in database.execute("SELECT artifact_uri FROM runs")}
        (source,) = database.execute("SELECT dataset_source FROM datasets").fetchone()
    assert runs == {*places, f"{home.as_uri()}/mlflow-artifacts/b"}
    assert source == f'{{"uri": "{home}/store/dataset/ab"}}'
