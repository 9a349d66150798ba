"""Tracking never stops a stage; what keeps it from being tracked is said at its start, with the remedy."""

import logging
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.spine.store.settings import Settings
from tasks.spine.tracking.tracker import Tracker


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return Settings(home=tmp_path / "home")


def test_a_deleted_experiment_is_said_with_the_remedy_and_the_remedy_helps(
    settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.root.mkdir()
    client = MlflowClient(tracking_uri=settings.mlflow_uri)
    number = client.create_experiment("midtrain")
    client.delete_experiment(number)
    with caplog.at_level(logging.WARNING):
        assert Tracker("a run", settings=settings).start_pipeline() is None
    (said,) = [record.getMessage() for record in caplog.records if record.name.startswith("tasks.")]
    assert "tracking is off for this run" in said
    assert f"`mlflow experiments restore --experiment-id {number}`" in said
    client.restore_experiment(number)
    assert Tracker("a run", settings=settings).start_pipeline()
