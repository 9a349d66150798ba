"""Which base models a source has."""

import os
import shutil
import time
from pathlib import Path

import pytest

from tasks.artifacts.settings import Settings
from tasks.models.resolve import EMBEDDED_PATH
from tasks.release.sources import candidates
from tasks.worker import Permanent


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MIDTRAIN_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return Settings()


def test_folders_with_a_whole_model_are_candidates(tmp_path: Path, settings: Settings) -> None:
    for name in ("run-1/step-10", "run-1/step-20", "fresh"):
        shutil.copytree(EMBEDDED_PATH, tmp_path / "models" / name)
    (tmp_path / "models" / "notes").mkdir()
    (tmp_path / "models" / "notes" / "config.json").write_text("{}")
    for path in (tmp_path / "models").rglob("step-*/*"):
        os.utime(path, (time.time() - 600,) * 2)
    for path in (tmp_path / "models" / "fresh").iterdir():
        os.utime(path)
    found = candidates(str(tmp_path / "models"), settings, settle_s=300)
    assert [Path(item.source).relative_to(tmp_path / "models").as_posix() for item in found] == [
        "run-1/step-10",
        "run-1/step-20",
    ]
    assert len(candidates(str(tmp_path / "models"), settings, settle_s=0)) == 3
    (only,) = candidates(str(tmp_path / "models" / "fresh"), settings, settle_s=0)
    assert Path(only.source) == tmp_path / "models" / "fresh"


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, settings: Settings) -> None:
    with pytest.raises(Permanent, match="nowhere"):
        candidates(str(tmp_path / "nowhere"), settings, settle_s=0)


def test_versions_of_a_registered_model_are_candidates(tmp_path: Path, settings: Settings) -> None:
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=settings.mlflow_uri)
    client.create_registered_model("base")
    client.create_model_version("base", source=f"file://{tmp_path}/one")
    client.create_model_version("base", source=f"{tmp_path}/elsewhere", tags={"uri": "s3://models/two"})
    found = [item.source for item in candidates("registry:base", settings, settle_s=0)]
    assert found == [f"{tmp_path}/one", "s3://models/two"]
