"""Which files make a model, and what is said of those that are missing, cut, damaged or only stand for others."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.files import INDEX, SINGLE, Incomplete, local_names, local_reader, model_files
from tasks.shared.models.resolve import EMBEDDED_PATH, ResolvedModel, resolve
from tasks.spine.store.settings import Settings
from tests.support.base_models import change_config, put_model, shard

SECOND = "model-00002-of-00002.safetensors"
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 3744200\n"

Look = Callable[[], ResolvedModel]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A whole model, to be spoilt."""
    put_model(tmp_path / "model")
    return tmp_path / "model"


@pytest.fixture
def look(folder: Path, tmp_path: Path) -> Look:
    """What is found in the folder now."""
    return lambda: resolve(ModelConfig(source=str(folder)), Settings(home=tmp_path / "home"))


def test_other_weights_beside_the_models_are_neither_counted_nor_hashed(folder: Path, look: Look) -> None:
    before = look()
    (folder / "consolidated.safetensors").write_bytes((folder / SINGLE).read_bytes())
    (folder / "optimizer.safetensors").write_bytes(b"")
    assert (look().digest, look().parameters) == (before.digest, before.parameters)
    shard(folder)
    sharded = look()
    (folder / SINGLE).write_bytes((EMBEDDED_PATH / SINGLE).read_bytes())
    assert (look().digest, look().parameters) == (sharded.digest, before.parameters)
    assert {entry.path for entry in sharded.files if ".safetensors" in entry.path} == {
        "model-00001-of-00002.safetensors",
        SECOND,
        INDEX,
    }


def write(name: str, content: str | bytes) -> Callable[[Path], None]:
    data = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(data) and None


def remove(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def cut(folder: Path) -> None:
    os.truncate(folder / SINGLE, 100_000)


def grown(folder: Path) -> None:
    with (folder / SINGLE).open("ab") as file:
        file.write(b"more")


def shard_lost(folder: Path) -> None:
    shard(folder)
    remove(SECOND)(folder)


def index_lost(folder: Path) -> None:
    shard(folder)
    remove(INDEX)(folder)


def index_with(**listed: str | None) -> Callable[[Path], None]:
    """Weights in two files, and an index that lists tensors elsewhere, or (None) not at all."""

    def spoil(folder: Path) -> None:
        shard(folder)
        index = json.loads((folder / INDEX).read_text())
        wrong = {name.replace("_", "."): file for name, file in listed.items()}
        index["weight_map"] = {name: file for name, file in (index["weight_map"] | wrong).items() if file}
        (folder / INDEX).write_text(json.dumps(index))

    return spoil


def dangling(folder: Path) -> None:
    (folder / "tokenizer.json").unlink()
    (folder / "tokenizer.json").symlink_to("../blobs/not-fetched")


MISSING = [
    (write(SINGLE, POINTER), r"model\.safetensors is a pointer of git-lfs .* `git lfs pull`"),
    (write("tokenizer.json", POINTER), r"tokenizer\.json is a pointer of git-lfs"),
    (write("config.json", POINTER), r"config\.json is a pointer of git-lfs"),
    (write(SINGLE, b""), r"model\.safetensors, 0 bytes, is damaged or cut \(header too small\)"),
    (write(SINGLE, (1 << 20).to_bytes(8, "little") + b"{}"), r"10 bytes, is damaged or cut \(invalid header length\)"),
    (cut, r"model\.safetensors, 100000 bytes, is damaged or cut \(incomplete metadata"),
    (grown, r"is damaged or cut \(incomplete metadata"),
    (shard_lost, rf"{INDEX} names {SECOND}: not there"),
    (index_lost, rf"without {INDEX}, weights are in {SINGLE}: not there"),
    (
        index_with(model_norm_weight=SECOND.replace("2-", "1-", 1)),
        rf"{INDEX} and .* not of one save: tensor model\.norm\.weight is listed in model-00001.* and is in {SECOND}",
    ),
    (index_with(model_norm_weight=None), r"tensor model\.norm\.weight is listed in no file and is in model"),
    (index_with(model_extra=SECOND), rf"tensor model\.extra is listed in {SECOND} and is in none \(1 such"),
    (dangling, r"tokenizer\.json is a link to a file that is not there"),
    (remove("tokenizer.json"), r"has no vocabulary of a tokenizer"),
    (remove("config.json"), r"has no config\.json"),
    (remove(SINGLE), "pickled weights are refused"),
]


@pytest.mark.parametrize(("spoil", "message"), MISSING)
def test_files_that_may_still_arrive_are_named(
    folder: Path, look: Look, spoil: Callable[[Path], None], message: str
) -> None:
    spoil(folder)
    with pytest.raises(Incomplete, match=rf"model\.source='{folder}': .*{message}"):
        look()


def shard_twice(folder: Path) -> None:
    shard(folder)
    (folder / SECOND).write_bytes((EMBEDDED_PATH / SINGLE).read_bytes())


DAMAGED = [
    (write(SINGLE, b"\xff" * 500), r"model\.safetensors, 500 bytes, is damaged or cut \(header too large\)"),
    (write(SINGLE, (4).to_bytes(8, "little") + b"\xfe{}}"), r"is damaged or cut \(invalid .*\); fetch it again"),
    (write("config.json", "<html>"), r"config\.json is damaged \(Expecting value: line 1"),
    (write("config.json", b'{"a": "\xff"}'), r"config\.json is damaged \('utf-8' codec"),
    (write("config.json", "[]"), r"config\.json is damaged \(no JSON object"),
    (write(INDEX, "{}"), rf"{INDEX} is damaged: it has no weight_map"),
    (write(INDEX, '{"weight_map": {"a": "../a.safetensors"}}'), r"'\.\./a\.safetensors' is no safetensors file"),
    (write(INDEX, '{"weight_map": {"a": "pytorch_model.bin"}}'), r"'pytorch_model\.bin' is no safetensors file"),
    (write("adapter_config.json", "{}"), "merge the adapter into its base model"),
    (shard_twice, rf"tensor .* is in model-00001-of-00002\.safetensors and in {SECOND}"),
]


@pytest.mark.parametrize(("spoil", "message"), DAMAGED)
def test_damaged_files_are_named(folder: Path, look: Look, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)
    with pytest.raises(Permanent, match=message) as caught:
        look()
    assert not isinstance(caught.value, Incomplete)


def names(folder: Path, *, trust: bool = False) -> list[str]:
    return model_files(local_names(folder), local_reader(folder), trust_remote_code=trust)


def test_code_counts_where_it_is_trusted_or_named(folder: Path) -> None:
    (folder / "parts").mkdir()
    for name in ("modeling.py", "parts/layer.py"):
        (folder / name).write_text("A = 1")
    assert not any(name.endswith(".py") for name in names(folder))
    assert {"modeling.py", "parts/layer.py"} < set(names(folder, trust=True))
    change_config(folder, auto_map={"AutoModelForCausalLM": "modeling.Model"})
    assert {"modeling.py", "parts/layer.py"} < set(names(folder))


def test_templates_in_their_own_folder_are_part_of_the_model_and_hidden_files_are_not(folder: Path) -> None:
    for place in ("additional_chat_templates", ".cache"):
        (folder / place).mkdir()
        (folder / place / "tools.jinja").write_text("{{ messages }}")
    (folder / ".tokenizer.json").write_text("{}")
    assert [name for name in names(folder) if "/" in name or name.startswith(".")] == [
        "additional_chat_templates/tools.jinja"
    ]
