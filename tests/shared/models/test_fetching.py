"""Models elsewhere: what is fetched is what is there now, whole, and nothing that does not belong to it."""

from pathlib import Path

import boto3
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from tasks.errors import Permanent
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.fetching import fetch, version
from tasks.shared.models.files import SINGLE, Incomplete
from tasks.shared.models.resolve import EMBEDDED_PATH, ResolvedModel, resolve
from tasks.spine.store.settings import Settings
from tests.support.base_models import put_model, shard
from tests.support.hub_server import COMMIT, Hub, Repository, ask, serve


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def upload(folder: Path, bucket: str, prefix: str) -> None:
    for file in folder.iterdir():
        boto3.client("s3").upload_file(str(file), bucket, f"{prefix}/{file.name}")


def at(bucket: str, prefix: str, settings: Settings) -> ResolvedModel:
    return resolve(ModelConfig(source=f"s3://{bucket}/{prefix}"), settings)


@pytest.mark.slow
def test_a_model_that_is_overwritten_in_a_bucket_is_another_one(
    s3_bucket: str, settings: Settings, tmp_path: Path
) -> None:
    put_model(tmp_path / "old")
    put_model(tmp_path / "new", factor=0.5)
    digests = []
    for name in ("old", "old", "new"):
        upload(tmp_path / name, s3_bucket, "latest")
        digests.append(at(s3_bucket, "latest", settings).digest)
        assert digests[-1] == resolve(ModelConfig(source=str(tmp_path / name)), settings).digest
    assert digests[0] == digests[1] != digests[2]


@pytest.mark.slow
def test_only_a_whole_models_own_files_are_fetched(s3_bucket: str, settings: Settings, tmp_path: Path) -> None:
    put_model(tmp_path / "model")
    (tmp_path / "model" / "consolidated.safetensors").write_bytes(b"")
    shard(tmp_path / "model")
    upload(tmp_path / "model", s3_bucket, "whole")
    names = {file.name for file in at(s3_bucket, "whole", settings).path.iterdir()}
    assert not {"consolidated.safetensors", "README.md", SINGLE} & names
    boto3.client("s3").delete_object(Bucket=s3_bucket, Key="whole/model-00001-of-00002.safetensors")
    with pytest.raises(Incomplete, match=r"model\.source='s3://.*names model-00001-of-00002\.safetensors: not there"):
        at(s3_bucket, "whole", settings)
    with pytest.raises(Permanent, match="nothing is there"):
        at(s3_bucket, "elsewhere", settings)


RESOLVE = """
import json
from tasks.errors import Permanent
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.resolve import resolve
from tasks.spine.store.settings import Settings
try:
    found = resolve(ModelConfig(source="lab/base"), Settings())
    print(json.dumps([found.digest, found.name, sorted(path.name for path in found.path.iterdir())]))
except Permanent as error:
    print(json.dumps(f"{type(error).__name__}: {error}"))
"""


@pytest.mark.slow
def test_of_a_hub_model_only_its_own_files_are_downloaded(settings: Settings, tmp_path: Path) -> None:
    put_model(tmp_path / "model")
    shard(tmp_path / "model")
    own = resolve(ModelConfig(source=str(tmp_path / "model")), settings)
    files = {path.name: path.read_bytes() for path in (tmp_path / "model").iterdir()}
    base = Repository("lab/base", files | {"consolidated.safetensors": b"", SINGLE: b"older"}, "models")
    with serve(Hub([base])) as endpoint:
        names = sorted(entry.path for entry in own.files)
        assert ask(endpoint, tmp_path, RESOLVE) == [own.digest, f"lab/base@{COMMIT[:12]}", names]
        del base.files["model-00002-of-00002.safetensors"]
        base.commit = "b" * 40
        message = ask(endpoint, tmp_path, RESOLVE)
    assert message == (
        "Incomplete: model.source='lab/base': model.safetensors.index.json names model-00002-of-00002.safetensors: "
        "not there; fetch what is missing"
    )


def test_a_model_that_is_overwritten_while_it_is_fetched_is_not_taken(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, get = MemoryFileSystem(), MemoryFileSystem.get_file
    files.put(f"{EMBEDDED_PATH}/", "/latest/", recursive=True)

    def busy(self: MemoryFileSystem, path: str, local: str, **options: object) -> None:
        """Somebody writes the next checkpoint while this one is read."""
        get(self, path, local, **options)
        self.pipe_file(path, b"next")

    monkeypatch.setattr(MemoryFileSystem, "get_file", busy)
    with pytest.raises(Incomplete, match=r"memory://latest/.* was overwritten while it was fetched"):
        fetch("memory://latest", settings, trust_remote_code=False)
    assert not list((settings.cache / "models").iterdir())


def test_a_version_is_the_contents_and_never_name_and_size_alone() -> None:
    assert version({"size": 3, "ETag": '"a"'}) != version({"size": 3, "ETag": '"b"'})
    assert version({"size": 3, "mtime": 1.0}) != version({"size": 3, "mtime": 2.0})
    with pytest.raises(Permanent, match="no version or time"):
        version({"size": 3, "name": "model.safetensors"})
