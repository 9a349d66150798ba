"""A file's hash is that of the bytes that are there now, however they came there."""

import json
import logging
import os
import time
from pathlib import Path

import pytest

from tasks.shared.models import hashes
from tasks.shared.models.files import Incomplete
from tasks.shared.models.hashes import FileHashes
from tasks.spine.store.fingerprint import digest_file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    path.write_bytes(b"one")
    return path


@pytest.fixture
def memory(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "hashes.json"


@pytest.fixture
def fine_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system on which every write moves the clock, once the file is a little older than its tick."""
    monkeypatch.setattr(hashes, "GRAIN_S", 0.0)
    time.sleep(0.02)


def sha256(file: Path, memory: Path) -> str:
    """As one process finds it."""
    found = FileHashes(memory)
    digest = found.sha256(file)
    found.save()
    return digest


@pytest.mark.usefixtures("file", "fine_clock")
def test_a_file_that_nobody_wrote_to_is_hashed_once(file: Path, memory: Path) -> None:
    assert sha256(file, memory) == digest_file(file)
    (entry,) = json.loads(memory.read_text()).values()
    memory.write_text(json.dumps({str(file): [*entry[:-1], "remembered"]}))
    assert sha256(file, memory) == "remembered"


def overwritten(file: Path) -> None:
    file.write_bytes(b"two")


def replaced(file: Path) -> None:
    other = file.with_name("other")
    other.write_bytes(b"two")
    other.replace(file)


@pytest.mark.usefixtures("file", "fine_clock")
@pytest.mark.parametrize("change", [overwritten, replaced])
def test_other_bytes_of_the_same_size_and_time_are_seen(file: Path, memory: Path, change) -> None:
    stat = file.stat()
    first = sha256(file, memory)
    change(file)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert (file.stat().st_size, file.stat().st_mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert sha256(file, memory) == digest_file(file) != first


def test_nothing_is_remembered_that_is_younger_than_the_clocks_grain(file: Path, memory: Path) -> None:
    sha256(file, memory)
    assert not memory.exists()


@pytest.mark.usefixtures("file", "fine_clock")
@pytest.mark.parametrize("damage", ["{", "[]", '{"/model": "an older form"}'])
def test_a_memory_that_cannot_be_read_is_begun_anew(file: Path, memory: Path, damage: str) -> None:
    memory.parent.mkdir()
    memory.write_text(damage)
    assert sha256(file, memory) == digest_file(file)
    assert list(json.loads(memory.read_text())) == [str(file)]


def test_a_memory_that_cannot_be_read_is_named(memory: Path, caplog: pytest.LogCaptureFixture) -> None:
    memory.parent.mkdir()
    memory.write_text("{")
    with caplog.at_level(logging.WARNING):
        FileHashes(memory)
    assert f"{memory} cannot be read" in caplog.text


def test_a_file_that_is_written_while_it_is_read_has_no_hash(
    file: Path, memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(path: Path) -> str:
        digest = digest_file(path)
        path.write_bytes(b"longer than before")
        return digest

    monkeypatch.setattr(hashes, "digest_file", slowly)
    with pytest.raises(Incomplete, match=r"model\.safetensors changed while it was read"):
        sha256(file, memory)
