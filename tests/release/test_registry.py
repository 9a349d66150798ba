"""What the end of a release needs of MLflow is tried before its work, and what it leaves there can be loaded."""

import shutil
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.release.config import ReleaseConfig
from tasks.release.flavour import add_files
from tasks.release.outcome import Decision
from tasks.release.registry import check, record, register
from tasks.spine.store.settings import Settings
from tasks.spine.tracking.tracker import Tracker
from tests.support.small_world import small_world


@pytest.fixture(scope="module")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's own database, which takes it seconds to make."""
    home = tmp_path_factory.mktemp("mlflow")
    settings = Settings(home=home, tracking_uri=f"sqlite:///{home}/mlflow.db")
    Tracker("the first", settings=settings).client.get_experiment("0")
    return home / "mlflow.db"


@pytest.fixture
def database(empty_database: Path, tmp_path: Path) -> str:
    """Address of a database of the test's own."""
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path}/mlflow.db"


def test_a_registry_is_tried_as_often_as_it_is_asked_and_one_that_takes_nothing_is_said(
    tmp_path: Path, database: str
) -> None:
    here = Settings(home=tmp_path, tracking_uri=database)
    tracker = Tracker("a release", settings=here)
    odd = ReleaseConfig(recipe='recipes/it\'s 5%: "x".yaml').line
    for _ in range(2):
        check(tracker, "midtrain-tiny")
        check(tracker, odd)
    assert {model.name for model in tracker.client.search_registered_models()} == {"midtrain-tiny", odd}
    assert list(tracker.client.search_model_versions(f"name = '{odd}'")) == []
    tracker.client.delete_experiment(tracker.experiment_id)
    with pytest.raises(Permanent, match=r"could not take the release 'midtrain-tiny': .*mlflow experiments restore"):
        check(Tracker("another", settings=here), "midtrain-tiny")
    elsewhere = Settings(home=tmp_path, tracking_uri="http://127.0.0.1:9")
    with pytest.raises(Permanent, match=r"\(MIDTRAIN_TRACKING_URI\) could not take the release"):
        check(Tracker("another", settings=elsewhere), "midtrain-tiny")


def test_the_champion_is_loaded_by_its_name(tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch) -> None:
    import mlflow

    with small_world(tmp_path / "home") as world:
        settings = Settings(home=tmp_path / "home", tracking_uri=database)
        tracker = Tracker("a release", settings=settings)
        names = {"trained": world.model, "evaluation": world.questions, "label": "mine"}
        version = register(tracker, world.store, "midtrain-tiny", **names)
        for _ in range(2):
            add_files(tracker, world.store, world.model)
        record(tracker.client, "midtrain-tiny", version, Decision(promote=True, reason="It is the first."))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", settings.mlflow_uri)
    mlflow.set_tracking_uri(settings.mlflow_uri)
    generator = mlflow.transformers.load_model("models:/midtrain-tiny@champion")
    (said,) = generator("Q: Ann has 2 pens and buys 3. How many has she?\nA:", max_new_tokens=8, return_full_text=False)
    assert said["generated_text"].strip()
