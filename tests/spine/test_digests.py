"""The memory of digests follows content: nothing that may have changed is taken from it."""

import json
import os
import time
from pathlib import Path

import pytest

from tasks.spine.store import digests
from tasks.spine.store.digests import MEMORY, DigestMemory
from tasks.spine.store.fingerprint import digest_text


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_text("one")
    return path


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files count as settled without a wait."""
    monkeypatch.setattr(digests, "GRAIN_S", -1.0)


def remembered(folder: Path) -> dict[str, str]:
    return json.loads((folder / MEMORY).read_text()) if (folder / MEMORY).exists() else {}


@pytest.mark.usefixtures("at_once")
def test_a_file_that_did_not_change_is_read_once_by_all_processes(tmp_path: Path, file: Path) -> None:
    assert DigestMemory(tmp_path / "cache").digests([file]) == [digest_text("one")]
    forged = {key: "f" * 64 for key in remembered(tmp_path / "cache") if key != "checksum"}
    (tmp_path / "cache" / MEMORY).write_text(json.dumps(forged))
    assert DigestMemory(tmp_path / "cache").digests([file]) == ["f" * 64]
    assert DigestMemory(tmp_path / "cache").digests([file], again=True) == [digest_text("one")]
    assert digest_text("one") in remembered(tmp_path / "cache").values()


@pytest.mark.usefixtures("at_once")
def test_a_change_that_hides_size_and_time_is_seen(tmp_path: Path, file: Path) -> None:
    memory = DigestMemory(tmp_path / "cache")
    memory.digests([file], again=True)
    times = file.stat()
    time.sleep(0.05)  # beyond the kernel's clock tick
    file.write_text("two")
    os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert file.stat().st_mtime_ns == times.st_mtime_ns
    for again in (False, True):
        assert memory.digests([file], again=again) == [digest_text("two")]


def test_a_file_younger_than_the_clocks_grain_is_not_remembered(tmp_path: Path, file: Path) -> None:
    memory = DigestMemory(tmp_path / "cache")
    assert memory.digests([file], again=True) == [digest_text("one")]
    assert remembered(tmp_path / "cache") == {}
    file.write_text("two")
    assert memory.digests([file]) == [digest_text("two")]


def test_a_file_from_the_future_is_not_remembered(tmp_path: Path, file: Path) -> None:
    os.utime(file, (time.time() + 3600, time.time() + 3600))
    DigestMemory(tmp_path / "cache").digests([file])
    assert remembered(tmp_path / "cache") == {}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize(
    "text", ["", "{", "[]", "\x00\x00", '{"a": "b", "checksum": "c"}', "[" * 200_000], ids=range(6)
)
def test_a_damaged_memory_is_named_and_begins_anew(
    tmp_path: Path, file: Path, text: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / MEMORY).write_text(text)
    assert DigestMemory(tmp_path).digests([file]) == [digest_text("one")]
    assert str(tmp_path / MEMORY) in caplog.text
    assert digest_text("one") in remembered(tmp_path).values()


@pytest.mark.usefixtures("at_once")
def test_what_another_process_remembers_stays(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other"
    other.write_text("two")
    first, second = DigestMemory(tmp_path), DigestMemory(tmp_path)
    first.digests([])
    second.digests([other])
    first.digests([file])
    assert {digest_text("one"), digest_text("two")} < set(remembered(tmp_path).values())


@pytest.mark.usefixtures("at_once")
def test_a_memory_that_cannot_be_written_costs_time_only(tmp_path: Path, file: Path) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    assert DigestMemory(tmp_path / "cache").digests([file]) == [digest_text("one")]
