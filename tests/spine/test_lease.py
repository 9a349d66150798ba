"""Leases: one builder at a time, and nothing that outlives a dead one."""

import json
import multiprocessing
import os
import subprocess
import sys
import threading
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from tasks.spine.store.files import Files
from tasks.spine.store.lease import BEATS, Lease
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings

PATH = "samples/abc/lease.json"
WRONG_TYPE = b'{"token": "a", "host": "b", "pid": 1, "process_started": 0, "beat": 0, "timeout_s": "x"}'


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(str(tmp_path / "store"))


def lease(files: Files, timeout_s: float = 30) -> Lease:
    return Lease(files, PATH, timeout_s)


def leave_dead(files: Files, path: str = PATH, **changes: object) -> None:
    """A lease as a process leaves it that was killed while it held it."""
    code = (
        f"from tasks.spine.store.files import Files; from tasks.spine.store.lease import Lease;"
        f"assert Lease(Files({files.uri!r}), {path!r}, 30).try_acquire()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[2])
    record = json.loads(files.read_text_or_none(path) or "")
    files.write_text(path, json.dumps(record | changes))


def test_is_exclusive_until_given_back(files: Files) -> None:
    first, second = lease(files), lease(files)
    assert first.try_acquire()
    assert not second.try_acquire()
    with first.held():
        assert not second.try_acquire()
    assert second.try_acquire()


def test_is_given_back_when_the_block_fails(files: Files) -> None:
    first = lease(files)
    assert first.try_acquire()
    with pytest.raises(RuntimeError), first.held():
        raise RuntimeError
    assert files.sizes("samples") == {}


def test_a_dead_process_is_succeeded(files: Files) -> None:
    leave_dead(files)
    successor = lease(files)
    assert successor.try_acquire()
    assert not lease(files).try_acquire()
    with successor.held():
        pass
    assert files.sizes("samples") == {}


def written_ago(files: Files, seconds: float) -> None:
    """Set the time that the store's clock put on the lease's last heartbeat."""
    then = time.time() - seconds
    os.utime(files.full(PATH), (then, then))


@pytest.mark.parametrize("ahead_s", [-7200, 0, 7200])
def test_a_process_on_another_host_is_succeeded_only_when_its_heartbeat_is_overdue(files: Files, ahead_s: int) -> None:
    """The store's clock decides: that host's own, which it writes down, may be wrong by hours."""
    leave_dead(files, host="elsewhere", beat=time.time() + ahead_s)
    written_ago(files, 25)
    assert not lease(files).try_acquire()
    assert lease(files).living_holder() is not None
    written_ago(files, 31)
    assert lease(files).living_holder() is None
    assert lease(files).try_acquire()


def test_a_wrong_clock_here_ends_no_lease_of_another_host(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    leave_dead(files, host="elsewhere")
    right = time.time()
    for wrong in (right - 7200, right + 7200):
        monkeypatch.setattr(time, "time", lambda now=wrong: now)
        assert not lease(files).try_acquire()


def test_a_reused_process_id_does_not_look_alive(files: Files) -> None:
    leave_dead(files, pid=os.getpid(), process_started=1.0)
    assert lease(files).try_acquire()


@pytest.mark.parametrize("content", [b"", b'{"token": "ab', b"[]", b"\xff\xfe", b"\0\0", b'{"token": "a"}', WRONG_TYPE])
def test_a_damaged_record_is_named_and_succeeded(
    files: Files, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    files.write_text(PATH, "")
    Path(files.full(PATH)).write_bytes(content)
    assert lease(files).living_holder() is None
    assert files.full(PATH) in caplog.text
    assert lease(files).try_acquire()
    assert not lease(files).try_acquire()


def test_a_successor_that_died_before_it_took_over_is_succeeded(files: Files) -> None:
    leave_dead(files)
    token = json.loads(files.read_text_or_none(PATH) or "")["token"]
    leave_dead(files, f"{PATH}.after-{token}")
    successor = lease(files)
    assert successor.try_acquire()
    with successor.held():
        pass
    assert files.sizes("samples") == {}


def test_a_late_successor_yields_to_one_that_has_been_and_gone(files: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between reading the dead record and claiming its place, another process took over, built and gave back."""
    leave_dead(files)
    create = files.create_exclusive

    def interrupted(path: str, text: str) -> bool:
        if ".after-" in path:
            files.remove(PATH)
        return create(path, text)

    monkeypatch.setattr(files, "create_exclusive", interrupted)
    assert not lease(files).try_acquire()
    assert files.sizes("samples") == {}
    monkeypatch.undo()
    assert lease(files).try_acquire()


def test_the_heartbeat_keeps_a_long_holder_alive(files: Files) -> None:
    first, second = lease(files, timeout_s=2), lease(files, timeout_s=2)
    assert first.try_acquire()
    with first.held():
        for _ in range(15):
            time.sleep(0.2)
            assert not second.try_acquire()


def test_a_holder_outlasts_a_store_that_is_away_for_as_long_as_requests_are_tried() -> None:
    timeout_s = Runtime().lease_timeout_s
    assert timeout_s - 2 * timeout_s / BEATS > Settings().s3_patience_s


def test_a_holder_that_was_succeeded_does_not_fight_back(files: Files) -> None:
    first, second = lease(files, timeout_s=1.5), lease(files, timeout_s=1.5)
    assert first.try_acquire()
    time.sleep(1.6)
    assert second.try_acquire()
    with second.held():
        with first.held():
            time.sleep(1.6)
        assert not lease(files).try_acquire()


def race(uri: str, together: Barrier, wins: "multiprocessing.Queue[int]") -> None:
    """Try at the same moment as the others, and live until all have tried: a winner that is gone is succeeded."""
    mine = Lease(Files(uri), PATH, 30)
    together.wait()
    if mine.try_acquire():
        wins.put(1)
    together.wait()


@pytest.mark.parametrize("dead_holder", [False, True])
def test_of_many_at_once_exactly_one_wins(files: Files, dead_holder: bool) -> None:
    if dead_holder:
        leave_dead(files)
    context = multiprocessing.get_context("fork")
    wins: multiprocessing.Queue[int] = context.Queue()
    together = context.Barrier(8, timeout=60)
    racers = [context.Process(target=race, args=(files.uri, together, wins)) for _ in range(8)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert wins.qsize() == 1


def test_threads_of_one_process_exclude_each_other(files: Files) -> None:
    won: list[bool] = []
    threads = [threading.Thread(target=lambda: won.append(lease(files).try_acquire())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(won) == [False] * 7 + [True]
