"""W&B gets what MLflow gets, with W&B's own library; a mirror that cannot work is refused, and one that fails is left.

The refusal of a missing package runs everywhere; what needs the library skips where the extra `wandb` is missing.
"""

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from struct import unpack
from typing import Any

import pytest

from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tasks.spine.tracking.mirror import check_mirror
from tasks.spine.tracking.tracker import Tracker
from tests.support.publishing import Publish

BLOCK = 32768
"""Bytes of a block in W&B's files, which are LevelDB's logs behind a head of seven bytes."""


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """W&B's library, which knows of no account and keeps nothing of earlier tests."""
    wandb = pytest.importorskip("wandb", reason="the extra `wandb` is not installed")
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("WANDB_API_KEY", "WANDB_MODE", "NETRC", "MLFLOW_TRACKING_URI"):
        monkeypatch.delenv(name, raising=False)
    yield
    wandb.teardown()


@pytest.fixture
def offline(library: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_MODE", "offline")


def written(file: Path) -> dict[str, Any]:
    """What W&B wrote of a run: its `run` record, `config`, the `history` of metrics, and whether it ended well."""
    from wandb.proto.wandb_internal_pb2 import Record

    kept: dict[str, Any] = {"config": {}, "history": []}
    for content in _records(file.read_bytes()):
        record = Record.FromString(content)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            kept["run"] = record.run
        elif kind == "config":
            kept["config"] |= {item.key: json.loads(item.value_json) for item in record.config.update}
        elif kind == "history":
            item = {"/".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            kept["history"].append({key: value for key, value in item.items() if not key.startswith("_")})
        elif kind == "exit":
            kept["failed"] = record.exit.exit_code != 0
    return kept


def _records(data: bytes) -> Iterator[bytes]:
    at, content = 7, b""
    while at + 7 <= len(data):
        if (room := BLOCK - at % BLOCK) < 7:
            at += room
            continue
        _, length, kind = unpack("<IHB", data[at : at + 7])
        content += data[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in (1, 4):
            yield content
            content = b""


@pytest.mark.usefixtures("offline")
def test_runs_of_wandb_have_the_parameters_metrics_and_tags_of_those_of_mlflow(
    settings: Settings, store: Store, publish: Publish, tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_text("<p>done</p>")
    tracker = Tracker("polya", {"recipe": "tiny-cpu"}, {"rl.steps": 40}, settings=settings, mirror="wandb")
    config = {"steps": 40, "source": "https://user:word@host/x"}
    stage = tracker.start_stage("rl", "f" * 64, config, {}, store, "RL from base")
    lines = [{"step": step, "time": 1.0, "values": {"reward": step / 4, "loss": None}} for step in (1, 2, 1, 2)]
    tracker.log_metrics(stage, lines)
    tracker.finish_stage(stage, publish(store, "model", ledger={"right": 3}), store)
    broken = tracker.start_stage("evaluate", "e" * 64, {}, {}, store)
    tracker.finish_stage(broken, None, store)
    tracker.log_report(str(tmp_path / "report.html"), "# Report", {"easy/pass_at_1 base": 0.5})
    tracker.finish_pipeline([], failed=False, store=store)
    assert not tracker.broken
    sys.modules["wandb"].teardown()

    runs = [written(file) for file in sorted(settings.root.glob("wandb/offline-run-*/*.wandb"))]
    by_type = {item["run"].job_type: item for item in runs}
    parent, rl, evaluate = (by_type[name] for name in ("pipeline", "rl", "evaluate"))
    assert rl["run"].run_id == stage
    assert {item["run"].run_group for item in runs} == {tracker.parent_run_id}
    assert {key: rl["config"][key] for key in config} == {"steps": 40, "source": "https://***@host/x"}
    assert rl["config"]["midtrain.ledger"] == '{"right": 3}'
    assert rl["history"][:4] == [{"step": step, "reward": step / 4} for step in (1, 2, 1, 2)]
    assert set(rl["history"][4]) == {"step", "seconds"}
    assert (rl["failed"], evaluate["failed"], parent["failed"]) == (False, True, False)
    assert (parent["config"]["recipe"], parent["config"]["rl.steps"]) == ("tiny-cpu", 40)
    assert parent["history"] == [{"step": 0, "easy/pass_at_1 base": 0.5}]
    assert "# Report" in parent["run"].notes


@pytest.mark.usefixtures("offline")
def test_a_failing_mirror_is_said_once_and_stops_neither_mlflow_nor_a_stage(
    settings: Settings, store: Store, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    tracker = Tracker("polya", settings=settings, mirror="wandb")
    settings.root.mkdir(parents=True)
    (settings.root / "wandb").write_text("a file where W&B wants a folder")
    with caplog.at_level(logging.WARNING):
        for key in ("a", "b"):
            stage = tracker.start_stage("rl", key * 64, {}, {}, store)
            tracker.finish_stage(stage, publish(store, "model", {"key": key}), store)
        tracker.finish_pipeline([], failed=False, store=store)
    said = [record.getMessage() for record in caplog.records if "W&B" in record.getMessage()]
    assert len(said) == 1
    runs = tracker.client.search_runs([tracker.experiment_id])
    assert [run.info.status for run in runs] == ["FINISHED"] * 3


def test_a_mirror_without_its_package_is_refused_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    # A None there makes an import fail; that the library asks for it by name is why nothing else is hidden.
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(ValueError, match=r"runtime\.mirror=wandb needs W&B.*pip install 'midtrain\[wandb\]'"):
        check_mirror("wandb")
    check_mirror("none")


@pytest.mark.usefixtures("library")
def test_a_mirror_without_an_account_is_refused_before_it_could_ask() -> None:
    with pytest.raises(ValueError, match=r"run `wandb login`, set WANDB_API_KEY, or set WANDB_MODE=offline"):
        check_mirror("wandb")
