"""Tracking never stops a stage; what keeps it from being tracked is said at its start, with the remedy."""

import logging
import time
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
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


def test_the_use_of_the_machine_is_followed_while_a_stage_is_built(
    settings: Settings, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_SYSTEM_METRICS_SAMPLING_INTERVAL", "0.1")
    tracker = Tracker("a run", settings=settings)
    stage = tracker.start_stage("rl", "f" * 64, {}, {}, store)
    assert stage
    deadline = time.monotonic() + 60
    while "system/cpu_utilization_percentage" not in tracker.client.get_run(stage).data.metrics:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    tracker.finish_stage(stage, None, store)
    assert tracker.client.get_run(stage).info.status == "FAILED"
