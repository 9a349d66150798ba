"""A watcher waits for a model whose files are still on their way, and names one that is damaged."""

import logging
import os
from pathlib import Path

import pytest

from flows.watch_base_models import watch_base_models
from tasks.shared.models.files import SINGLE
from tests.support.base_models import put_model, shard


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that is watched: one model lacks a shard, one is cut, one has only a pointer."""
    monkeypatch.setenv("MIDTRAIN_HOME", str(tmp_path / "home"))
    for name in ("lacking", "cut", "pointing"):
        put_model(tmp_path / "models" / name)
    shard(tmp_path / "models" / "lacking")
    (tmp_path / "models" / "lacking" / "model-00002-of-00002.safetensors").unlink()
    os.truncate(tmp_path / "models" / "cut" / SINGLE, 100_000)
    (tmp_path / "models" / "pointing" / "tokenizer.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    return tmp_path / "models"


def test_incomplete_folders_are_waited_for_and_said(models: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        assert watch_base_models.fn(source=str(models), settle_s=0) == []
    for words in ("model-00002-of-00002.safetensors: not there", "is damaged or cut", "is a pointer of git-lfs"):
        assert words in caplog.text


def test_a_damaged_folder_is_no_reason_to_wait(models: Path) -> None:
    (models / "cut" / "config.json").write_text("<html>")
    with pytest.raises(RuntimeError, match=r"^1 base models were not released:\n.*/cut: .*config\.json is damaged"):
        watch_base_models.fn(source=str(models), settle_s=0)
