"""Which base models a source has."""

import os
import shutil
import time
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.release.sources import candidates
from tasks.shared.models.resolve import EMBEDDED_PATH
from tasks.spine.store.settings import Settings
from tests.support.hub_server import Hub, Repository, ask, serve


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


LOOK = """
import json, sys
from tasks.spine.store.settings import Settings
from tasks.release.sources import candidates
try:
    found = candidates(json.loads(sys.argv[1])["source"], Settings(), settle_s=0)
    print(json.dumps([[item.source, item.revision] for item in found]))
except Exception as error:
    print(json.dumps(f"{type(error).__name__}: {error}"))
"""
WHOLE = {"config.json": b"{}", "model-00001-of-00001.safetensors": b"", "tokenizer.json": b"{}"}
ONE, TWO = "1" * 40, "2" * 40


@pytest.fixture
def hub() -> Hub:
    return Hub(
        [
            Repository("lab/base", WHOLE, "models", ONE),
            Repository("lab/gated", WHOLE, "models", ONE, refuses=(403, "GatedRepo")),
            Repository("lab/quantised", {"weights.gguf": b""}, "models", ONE),
            Repository("lab/corpus", WHOLE, "datasets", ONE),
            Repository("lab/private", WHOLE, "models", ONE, refuses=(401, "RepoNotFound")),
            Repository("labs/base", WHOLE, "models", TWO),
        ],
        {
            "lab/best-0123": [
                ("model", "lab/private"),
                ("dataset", "lab/corpus"),
                ("model", "labs/base"),
                ("model", "lab/quantised"),
                ("model", "lab/base"),
                ("space", "lab/base"),
            ]
        },
    )


@pytest.mark.slow
def test_models_of_an_author_are_candidates_by_commit(hub: Hub, tmp_path: Path) -> None:
    with serve(hub) as endpoint:
        assert ask(endpoint, tmp_path, LOOK, source="hub:lab") == [["lab/base", ONE], ["lab/gated", ONE]]
        hub.repositories[0].commit = TWO
        assert ask(endpoint, tmp_path, LOOK, source="hub:lab") == [["lab/base", TWO], ["lab/gated", ONE]]


@pytest.mark.slow
def test_models_of_a_collection_are_candidates_and_one_that_fails_is_left_to_its_import(
    hub: Hub, tmp_path: Path
) -> None:
    with serve(hub) as endpoint:
        found = ask(endpoint, tmp_path, LOOK, source="hub:lab/best-0123")
        assert found == [["lab/base", ONE], ["lab/private", ""], ["labs/base", TWO]]
        hub.repositories[0].refuses = (500, "")
        found = ask(endpoint, tmp_path, LOOK, source="hub:lab/best-0123")
        assert found == [["lab/base", ""], ["lab/private", ""], ["labs/base", TWO]]
        message = ask(endpoint, tmp_path, LOOK, source="hub:lab/best")
        assert "Permanent: source='hub:lab/best': the hub has no such collection" in message
