"""Models and datasets go to a hub whole, private, and over nothing that is there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.hub_server import Hub, Repository, ask, serve
from tests.support.network import free_port
from tests.support.publishing import publishing
from tests.support.small_world import World, small_world

PUSH = """
import json, sys
from tasks.errors import Permanent
from tasks.release.hub import push
from tasks.spine.store.store import Store
said = []
for call in json.loads(sys.argv[1])["calls"]:
    try:
        said.append(push(Store.open(), **call))
    except Permanent as error:
        said.append(str(error))
print(json.dumps(said))
"""

COMMAND = """
import json, sys
from typer.testing import CliRunner
from flows.cli.app import app
done = CliRunner().invoke(app, json.loads(sys.argv[1])["words"])
print(json.dumps([done.exit_code, done.stdout]))
"""


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A store with a model and some data."""
    with small_world(tmp_path_factory.mktemp("home")) as world:
        yield world


def pushed(endpoint: str, home: Path, *calls: tuple[str, str, str, dict[str, Any]]) -> list[str]:
    """Addresses and refusals of some pushes, all of one process."""
    given = [{"kind": kind, "name": name, "repository": place, **options} for kind, name, place, options in calls]
    return ask(endpoint, home, PUSH, calls=given)


def test_models_and_datasets_are_pushed_with_their_cards_and_over_nothing_that_is_there(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "right")
    files = {"README.md": "---\nlicense: mit\n---\n", "train.parquet": "rows", "rejects.parquet": "none"}
    model, data = str(world.model), str(publishing(tmp_path)(world.store, "dataset", files=files).ref)
    theirs = Repository("lab/theirs", {"weights.bin": b"0"}, "models")
    hub = Hub([Repository("lab/mine", {".gitattributes": b""}, "models"), theirs], token="right")
    with serve(hub) as endpoint:
        address, _, refused, _ = pushed(
            endpoint,
            tmp_path,
            ("model", model, "lab/mine", {}),
            ("dataset", data, "lab/rows", {}),
            ("model", model, "lab/theirs", {}),
            ("model", model, "lab/theirs", {"replace": True, "licence": "mit"}),
        )
        assert address.startswith(f"{endpoint}/lab/mine/commit/")
    mine, rows = hub.repository("models", "lab/mine"), hub.repository("datasets", "lab/rows")
    assert mine is not None
    assert rows is not None
    place = world.store.local(world.model)
    for name in ("model.safetensors", "tokenizer.json", "config.json"):
        assert mine.files[name] == (place / name).read_bytes()
    assert mine.files["README.md"].startswith(b"---\nlicense: apache-2.0\n")
    assert {name: content.decode() for name, content in rows.files.items()} == files
    assert rows.private
    assert "model lab/theirs has 1 files (weights.bin first)" in refused
    assert theirs.files["README.md"].startswith(b"---\nlicense: mit\n")
    assert {"weights.bin", "model.safetensors"} <= theirs.files.keys()


def test_what_cannot_be_pushed_is_said_and_changes_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "wrong")
    hub, model = Hub([], token="right"), str(world.model)
    with serve(hub) as endpoint:
        refused, unnamed, other = pushed(
            endpoint,
            tmp_path,
            ("model", model, "lab/mine", {}),
            ("model", model, "mine", {}),
            ("dataset", model, "lab/mine", {}),
        )
        monkeypatch.delenv("HF_TOKEN")
        monkeypatch.setenv("HF_TOKEN_PATH", str(tmp_path / "none"))
        (tokenless,) = pushed(endpoint, tmp_path, ("model", model, "lab/mine", {}))
        away = f"http://127.0.0.1:{free_port()}"
        (unanswered,) = pushed(away, tmp_path, ("model", model, "lab/mine", {}))
    assert "that HF_TOKEN may write there" in refused
    assert "No token was found: set HF_TOKEN, or run `hf auth login`" in tokenless
    assert f"Check that this machine reaches {away}" in unanswered
    assert "write org/name" in unnamed
    assert "is of kind model, not dataset" in other
    assert hub.repositories == []


def test_the_command_pushes_and_says_where_to(world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "right")
    hub = Hub([], token="right")
    words = ["push", "model", str(world.model), "lab/mine", "--public", "--licence", "mit"]
    with serve(hub) as endpoint:
        code, said = ask(endpoint, tmp_path, COMMAND, words=words)
        assert (code, said.partition("commit/")[0]) == (0, f"Pushed: {endpoint}/lab/mine/")
        code, said = ask(endpoint, tmp_path, COMMAND, words=words)
        assert (code, "--replace" in said) == (1, True)
    (mine,) = hub.repositories
    assert not mine.private
    assert mine.files["README.md"].startswith(b"---\nlicense: mit\n")
    assert {"model.safetensors", "tokenizer.json"} <= mine.files.keys()
