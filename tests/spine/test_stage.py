"""The anatomy of a stage: found, or built once, and never half there."""

import multiprocessing
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tasks.errors import Permanent
from tasks.spine.stage.call import StageCall
from tasks.spine.stage.stage import Build, ensure
from tasks.spine.store.lease import Lease
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.publishing import Publish
from tests.support.toy_stage import TOY, Seen, ToyConfig, toy, write
from tests.support.toy_worker import ToyJob


@dataclass
class Counted:
    """A body that counts its calls."""

    body: Callable[[Build, ToyConfig], None] = write
    calls: int = 0

    def __call__(self, build: Build, config: ToyConfig) -> None:
        self.calls += 1
        self.body(build, config)


def test_a_miss_builds_and_a_hit_does_not(settings: Settings, store: Store) -> None:
    body, watcher = Counted(), Seen()
    built = toy(settings, body, watcher=watcher)
    served = toy(settings, body)
    assert (built.hit, served.hit, body.calls) == (False, True, 1)
    assert served.manifest == built.manifest
    assert watcher.ends == [built.manifest]
    assert (store.local(built.manifest.ref) / "text.txt").read_text() == "hello"
    assert list(settings.work.iterdir()) == []


def test_the_manifest_holds_what_the_body_recorded_and_what_made_it(
    settings: Settings, store: Store, publish: Publish
) -> None:
    parent = publish(store, "questions").ref
    made = toy(settings, write, parents={"questions": parent}).manifest
    assert (made.rows, made.ledger, made.summary) == ({"text": 1, "more": 2}, {"in": 1, "out": 1}, {"curve": [1]})
    assert made.parents == {"questions": parent}
    assert made.payload["config"] == {"text": "hello", "size": 1}
    assert made.payload["parents"] == {"questions": {"kind": "questions", "digest": parent.digest}}
    assert made.mlflow_run_id == "run-of-toy"
    assert {"torch", "prefect"} <= set(made.versions)


@pytest.mark.parametrize("other", [{"config": ToyConfig(text="bye")}, {"parents": True}])
def test_another_identity_is_another_artifact(
    settings: Settings, store: Store, publish: Publish, other: dict[str, Any]
) -> None:
    if other.get("parents"):
        other = {"parents": {"questions": publish(store, "questions").ref}}
    body = Counted()
    toy(settings, body)
    assert not toy(settings, body, **other).hit
    assert body.calls == 2


def test_where_it_runs_is_no_part_of_it(settings: Settings) -> None:
    body = Counted()
    toy(settings, body)
    far = Runtime(device="cuda", num_shards=8, batch_size=1)
    assert ensure(StageCall(TOY, body, ToyConfig(), far, {}), settings=settings, watcher=Seen()).hit


def test_force_builds_again(settings: Settings) -> None:
    body = Counted()
    first = toy(settings, body)
    forced = toy(settings, body, force=True)
    assert (forced.hit, body.calls) == (False, 2)
    assert forced.manifest.ref == first.manifest.ref
    assert toy(settings, body).hit


def test_a_deleted_artifact_is_built_again(settings: Settings, store: Store) -> None:
    body = Counted()
    made = toy(settings, body).manifest
    shutil.rmtree(store.local(made.ref))
    assert not toy(settings, body).hit
    assert toy(settings, body).hit


def test_parents_are_read_by_role(settings: Settings, store: Store, publish: Publish) -> None:
    parent = publish(store, "questions", files={"q.txt": "what?"})

    def body(build: Build, config: ToyConfig) -> None:
        assert build.parent("questions") == parent
        shutil.copy(build.path("questions") / "q.txt", build.out / "copy.txt")

    made = toy(settings, body, parents={"questions": parent.ref}).manifest
    assert (store.local(made.ref) / "copy.txt").read_text() == "what?"


def test_a_crash_leaves_nothing_readable_but_the_work_to_resume(settings: Settings, store: Store) -> None:
    def crash(build: Build, config: ToyConfig) -> None:
        (build.work / "checkpoint").write_text("step 5")
        (build.out / "half.parquet").write_text("PAR1")
        raise RuntimeError("power cut")

    watcher = Seen()
    with pytest.raises(RuntimeError, match="power cut"):
        toy(settings, crash, watcher=watcher)
    assert watcher.ends == [None]
    assert store.all() == []
    assert store.files.sizes("") == {}

    def resume(build: Build, config: ToyConfig) -> None:
        assert (build.work / "checkpoint").read_text() == "step 5"
        assert list(build.out.iterdir()) == []
        write(build, config)

    assert [entry.path for entry in toy(settings, resume).manifest.files] == ["text.txt"]
    assert list(settings.work.iterdir()) == []


def test_a_body_that_writes_nothing_is_an_error(settings: Settings, store: Store) -> None:
    with pytest.raises(Permanent, match="toy wrote nothing"):
        toy(settings, lambda build, config: None)
    assert store.all() == []


def test_workers_report_to_the_watcher(settings: Settings) -> None:
    def body(build: Build, config: ToyConfig) -> None:
        result = build.worker("tests.support.toy_worker", ToyJob(steps=2))
        (build.out / "steps").write_text(str(result["steps"]))
        build.progress(1, 1, "files", seconds=0.5)

    watcher = Seen()
    toy(settings, body, watcher=watcher)
    assert [line.get("done") for line in watcher.lines] == [1, 2, None, None, 1]


def build_slowly(home: Path, log: Path, start: float) -> None:
    def body(build: Build, config: ToyConfig) -> None:
        with log.open("a") as file:
            file.write(f"{os.getpid()}\n")
        time.sleep(1.5)
        write(build, config)

    time.sleep(max(0.0, start - time.time()))
    outcome = toy(Settings(home=home), body)
    with log.with_suffix(".hits").open("a") as file:
        file.write(f"{outcome.hit}\n")


def test_of_processes_at_once_one_builds_and_the_others_wait_for_it(settings: Settings, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    start = time.time() + 0.3
    runs = [context.Process(target=build_slowly, args=(settings.home, tmp_path / "log", start)) for _ in range(3)]
    for run in runs:
        run.start()
    for run in runs:
        run.join()
    assert len((tmp_path / "log").read_text().split()) == 1
    assert sorted((tmp_path / "log.hits").read_text().split()) == ["False", "True", "True"]


def test_a_forced_run_that_had_to_wait_takes_what_the_other_made(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, waited_for = threading.Event(), threading.Event()
    acquire = Lease.try_acquire

    def try_acquire(lease: Lease) -> bool:
        won = acquire(lease)
        if not won:
            waited_for.set()
        return won

    def slow(build: Build, config: ToyConfig) -> None:
        inside.set()
        assert waited_for.wait(60)
        write(build, config)

    monkeypatch.setattr(Lease, "try_acquire", try_acquire)

    other = threading.Thread(target=toy, args=(settings, slow))
    other.start()
    inside.wait()
    body = Counted()
    assert toy(settings, body, force=True).hit
    assert body.calls == 0
    other.join()


def test_a_killed_run_is_succeeded_at_once_and_its_work_resumed(settings: Settings, tmp_path: Path) -> None:
    code = f"""
import os, signal
from pathlib import Path
from tasks.spine.store.settings import Settings
from tests.support.toy_stage import toy
def body(build, config):
    (build.work / "checkpoint").write_text("step 5")
    os.kill(os.getpid(), signal.SIGKILL)
toy(Settings(home=Path({str(settings.home)!r})), body)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2])
    assert killed.returncode == -9

    def resume(build: Build, config: ToyConfig) -> None:
        assert (build.work / "checkpoint").read_text() == "step 5"
        write(build, config)

    started = time.monotonic()
    assert not toy(settings, resume).hit
    assert time.monotonic() - started < Runtime().lease_timeout_s / 3


def test_a_full_disk_leaves_nothing_readable_and_the_next_run_mends_it(small_disk: Path) -> None:
    settings = Settings(home=small_disk / "home")
    (small_disk / "ballast").write_bytes(b"0" * 500_000)
    with pytest.raises(Permanent, match=r"no space left in .*disk"):
        toy(settings, write, ToyConfig(size=140_000))
    assert Store.open(settings).all() == []
    (small_disk / "ballast").unlink()
    assert not toy(settings, write, ToyConfig(size=140_000)).hit


def test_a_disk_that_fills_while_publishing_leaves_nothing_readable(small_disk: Path, tmp_path: Path) -> None:
    """Work and store on two file systems: the copy, not the body, runs out of space."""
    settings = Settings(home=tmp_path / "home", store=str(small_disk / "store"))
    with pytest.raises(Permanent, match=r"no space left in .*disk"):
        toy(settings, write, ToyConfig(size=300_000))
    assert Store.open(settings).all() == []
    assert not toy(settings, write, ToyConfig(size=10_000)).hit


LIMITED = """
import resource, signal
from pathlib import Path
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.toy_stage import ToyConfig, toy, write
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
settings = Settings(home=Path({home!r}))
try:
    toy(settings, write, ToyConfig(size=200_000))
except OSError as error:
    print(type(error).__name__, Store.open(settings).all())
"""


def test_a_file_that_cannot_be_finished_leaves_nothing_readable(settings: Settings) -> None:
    """The same without any privilege: the kernel refuses the write in the middle of a file."""
    done = subprocess.run(
        [sys.executable, "-c", LIMITED.format(home=str(settings.home))],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "OSError []\n"
    assert not toy(settings, write, ToyConfig(size=200_000)).hit


def test_a_reference_is_all_that_names_a_parent() -> None:
    with pytest.raises(ValueError, match="64 hex digits"):
        ArtifactRef(kind="samples", fingerprint="abc", digest="a" * 64)
