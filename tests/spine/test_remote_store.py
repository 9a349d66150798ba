"""The store on S3, through a real HTTP endpoint."""

import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier

import pytest

from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.stage import Build, ensure
from tasks.spine.store.files import Files
from tasks.spine.store.fingerprint import fingerprint
from tasks.spine.store.lease import Lease
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import ArtifactMissing, Store
from tests.support.publishing import Publish
from tests.support.toy_stage import Seen, ToyConfig, write


@pytest.fixture
def store(remote: Settings) -> Store:
    return Store.open(remote)


def test_publish_find_and_read(store: Store, publish: Publish) -> None:
    made = publish(store, "dataset", {"n": 8}, {"train.parquet": "rows", "deep/card.md": "# card"})
    assert store.find("dataset", made.fingerprint) == made
    assert store.manifest(f"dataset/{made.fingerprint[:6]}") == made
    assert store.manifest(made.fingerprint[:6]) == made
    assert store.all() == store.all("dataset") == [made]
    folder = store.local(made.ref)
    assert folder.is_relative_to(store.cache)
    assert (folder / "train.parquet").read_text() == "rows"
    assert (folder / "deep/card.md").read_text() == "# card"


def test_files_are_fetched_once(store: Store, publish: Publish) -> None:
    made = publish(store, "dataset", files={"a": "x"})
    file = store.local(made.ref) / "a"
    inode = file.stat().st_ino
    assert store.local(made.ref) / "a" == file
    assert file.stat().st_ino == inode


def test_an_empty_store_holds_nothing(store: Store) -> None:
    assert store.all() == []
    assert store.find("dataset", "a" * 64) is None
    with pytest.raises(ArtifactMissing, match="no artifact"):
        store.manifest("dataset/ab")


def test_a_lost_or_cut_object_counts_as_absence_at_once(remote: Settings, store: Store, publish: Publish) -> None:
    """The damage comes from elsewhere, so no listing may be remembered from before it."""
    made = publish(store, "dataset", files={"a": "0123456789", "b": "x"})
    path = f"{made.ref.path}/{made.data}/a"
    elsewhere = Store.open(remote).files
    assert store.find("dataset", made.fingerprint) == made
    elsewhere.write_text(path, "0123")
    assert store.find("dataset", made.fingerprint) is None
    elsewhere.write_text(path, "0123456789")
    assert store.find("dataset", made.fingerprint) == made
    elsewhere.remove(path)
    assert store.find("dataset", made.fingerprint) is None


def test_another_reader_sees_what_was_written_after_it_looked(remote: Settings, store: Store, publish: Publish) -> None:
    reader = Store.open(remote)
    assert reader.find("dataset", fingerprint("dataset", 1, None, {})) is None
    assert reader.all() == []
    made = publish(store, "dataset")
    assert reader.find("dataset", made.fingerprint) == made
    assert reader.all() == [made]


def test_a_stage_runs_against_it(remote: Settings, store: Store, publish: Publish) -> None:
    toy = Stage("toy", version=1, kind="samples")
    parent = publish(store, "questions", files={"q.txt": "what?"})

    def body(build: Build, config: ToyConfig) -> None:
        assert (build.path("questions") / "q.txt").read_text() == "what?"
        write(build, config)

    calls = [
        ensure(StageCall(toy, body, ToyConfig(), Runtime(), {"questions": parent.ref}), settings=remote, watcher=Seen())
        for _ in range(2)
    ]
    assert [call.hit for call in calls] == [False, True]
    assert store.files.folders(calls[0].manifest.ref.path) == sorted(
        [calls[0].manifest.data, f"{calls[0].manifest.data}.json", "manifest.json"]
    )


def race(uri: str, starts: "list[Barrier]", wins: "multiprocessing.Queue[int]") -> None:
    files = Files(uri)
    for attempt, start in enumerate(starts):
        start.wait()
        if files.create_exclusive(f"locks/{attempt}", str(os.getpid())):
            wins.put(attempt)


def test_of_many_creators_exactly_one_wins(remote: Settings) -> None:
    """The endpoint itself must refuse the second one: a look before the write would let several through."""
    context = multiprocessing.get_context("spawn")
    wins: multiprocessing.Queue[int] = context.Queue()
    starts = [context.Barrier(4) for _ in range(5)]
    racers = [context.Process(target=race, args=(remote.store_uri, starts, wins)) for _ in range(4)]
    for racer in racers:
        racer.start()
    for racer in racers:
        racer.join()
    assert sorted(wins.get(timeout=5) for _ in starts) == [0, 1, 2, 3, 4]
    assert wins.empty()


def test_create_exclusive_keeps_what_is_there(store: Store) -> None:
    assert store.files.create_exclusive("lock", "first")
    assert not store.files.create_exclusive("lock", "second")
    assert store.files.read_text_or_none("lock") == "first"


def test_leases(store: Store) -> None:
    first, second = (Lease(store.files, "samples/abc/lease.json", 4) for _ in range(2))
    assert first.try_acquire()
    with first.held():
        time.sleep(5)
        assert not second.try_acquire()
    assert second.try_acquire()
    with second.held():
        pass
    assert store.files.sizes("samples/abc") == {}


def test_the_age_of_a_lease_is_told_by_the_endpoint(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host whose clock is hours off takes no lease from a living holder."""
    store.files.write_text("samples/abc/lease.json", "{}")
    right = time.time()
    for wrong in (right - 7200, right + 7200):
        with monkeypatch.context() as patch:
            patch.setattr("tasks.spine.store.s3.time.time", lambda now=wrong: now)
            age_s = store.files.age_s("samples/abc/lease.json")
        assert age_s is not None
        assert -2 < age_s < 60
    assert store.files.age_s("samples/none/lease.json") is None
