"""`midtrain gc` on a finished pipeline: what its report needs stays, and what goes is built again when wanted."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mlflow import MlflowClient
from rich.console import Console

from flows.cli.commands import collect_garbage
from flows.cli.gc import collect
from flows.polya import polya
from flows.stages.questions import questions
from tasks.report.models import measured_models
from tasks.spine.store.lineage import ancestry
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import ArtifactMissing, Store
from tests.support.small import SMALL, Run, run

pytestmark = pytest.mark.slow

Collect = Callable[..., str]
OTHER = {**SMALL, "questions.tiny.count": 5}


@pytest.fixture
def home(finished: Run, small_home: Path, in_new_home: Path) -> Path:
    """A copy of the small pipeline's home, to which other tests add things of their own; those are cleared first."""
    shutil.copytree(small_home, in_new_home, dirs_exist_ok=True)
    quiet = Console(file=(in_new_home / "first.txt").open("w"))
    assert collect(Settings(), quiet, keep_days=0, keep=[], drop=[], yes=True) == 0
    return in_new_home


@pytest.fixture
def gc(home: Path) -> Collect:
    """`gc(yes=..., keep=[...], drop=[...])`: what the command prints, where nothing is young."""

    def call(*, yes: bool = False, keep: list[str] | None = None, drop: list[str] | None = None) -> str:
        console = Console(width=250, record=True, file=(home.parent / "gc.txt").open("w"))
        assert collect(Settings(), console, keep_days=0, keep=keep or [], drop=drop or [], yes=yes) == 0
        return console.export_text()

    return call


def files(home: Path) -> set[Path]:
    return {path for path in (home / "store").rglob("*") if path.is_file()}


def test_only_what_the_report_does_not_need_goes_and_a_rerun_makes_it_again(
    home: Path, finished: Run, gc: Collect
) -> None:
    store = Store.open()
    loose = run(questions, recipe="tiny-cpu", overrides=OTHER)
    assert loose.built == ["questions"]
    before = files(home)
    listed = gc()
    assert listed.count("artifact ") == 1
    assert str(loose.ref) in listed
    assert "Nothing was deleted" in listed
    assert files(home) == before
    assert "Deleted 1 of 1" in gc(yes=True)
    assert {path for path in before if str(loose.ref) in str(path)} == before - files(home)
    with pytest.raises(ArtifactMissing):
        store.manifest(loose.ref)
    assert (store.local(finished.ref) / "report.html").read_text().startswith("<!doctype html>")
    assert all(node.manifest is not None for node in ancestry(store, finished.ref).walk())
    assert run(polya, recipe="tiny-cpu", overrides=SMALL).built == []
    again = run(questions, recipe="tiny-cpu", overrides=OTHER)
    assert (again.built, again.ref) == (["questions"], loose.ref)


def test_a_dropped_report_goes_and_what_is_named_or_registered_stays(
    home: Path, finished: Run, gc: Collect, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # The registry looks a model up at MLflow's global address, whatever address its client has.
    monkeypatch.setenv("MLFLOW_TRACKING_URI", Settings().mlflow_uri)
    store = Store.open()
    parents = [str(ref) for ref in store.manifest(finished.ref).parents.values()]
    reports = [str(manifest.ref) for manifest in store.all("report")]
    everything = gc(drop=reports)
    model = next(manifest for manifest in store.all("model") if manifest.stage == "rl")
    (named,) = [item for item in measured_models(store, store.manifest(finished.ref)) if item.ref == model.ref]
    assert f"{named.label}: {model.ref}" in everything
    capsys.readouterr()
    assert collect(Settings(), Console(), keep_days=0, keep=[], drop=reports, yes=False, as_json=True) == 0
    (told,) = [item for item in json.loads(capsys.readouterr().out)["items"] if item["path"] == model.ref.path]
    assert (told["label"], told["files"]) == (named.label, store.place(model))
    client = MlflowClient(Settings().mlflow_uri)
    experiment = client.get_experiment_by_name("midtrain")
    assert experiment is not None
    (logged,) = client.search_logged_models([experiment.experiment_id], f"tags.digest = '{model.digest}'")
    client.create_registered_model("line")
    client.create_model_version("line", source=f"models:/{logged.model_id}", model_id=logged.model_id)
    registered = gc(drop=reports)
    for node in ancestry(store, model.ref).walk():
        assert str(node.ref) not in registered
    assert str(finished.ref) in registered
    gc(drop=reports, keep=parents, yes=True)
    with pytest.raises(ArtifactMissing):
        store.manifest(finished.ref)
    again = run(polya, recipe="tiny-cpu", overrides=SMALL)
    assert (again.built, again.ref.fingerprint) == (["report"], finished.ref.fingerprint)


def test_an_mlflow_that_does_not_answer_stops_it(
    home: Path, finished: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("MIDTRAIN_TRACKING_URI", "http://127.0.0.1:9")
    before = files(home)
    console = Console(width=200, record=True, file=(tmp_path / "out.txt").open("w"))
    assert collect_garbage(0, [], [str(finished.ref)], True, False, console) == 1
    assert "what is registered there must stay" in console.export_text()
    assert files(home) == before
