"""What the end of a release needs of MLflow is tried before its work."""

from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.release.registry import check
from tasks.spine.store.settings import Settings
from tasks.spine.tracking.tracker import Tracker


def test_a_registry_is_tried_as_often_as_it_is_asked_and_one_that_takes_nothing_is_said(tmp_path: Path) -> None:
    database = Settings(home=tmp_path, tracking_uri=f"sqlite:///{tmp_path}/mlflow.db")
    tracker = Tracker("a release", settings=database)
    for _ in range(2):
        check(tracker, "midtrain-tiny")
    assert [model.name for model in tracker.client.search_registered_models()] == ["midtrain-tiny"]
    tracker.client.delete_experiment(tracker.experiment_id)
    with pytest.raises(Permanent, match=r"could not take the release 'midtrain-tiny': .*mlflow experiments restore"):
        check(Tracker("another", settings=database), "midtrain-tiny")
    elsewhere = Settings(home=tmp_path, tracking_uri="http://127.0.0.1:9")
    with pytest.raises(Permanent, match=r"\(MIDTRAIN_TRACKING_URI\) could not take the release"):
        check(Tracker("another", settings=elsewhere), "midtrain-tiny")
