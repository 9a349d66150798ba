"""S3 that fails: what passes is outlasted, what does not is named at once, and nothing half-written is read."""

import hashlib
import logging
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import boto3
import pytest

from tasks.errors import Permanent
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.stage import Build, ensure
from tasks.spine.store.files import Files
from tasks.spine.store.lease import Lease
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.s3 import PART_BYTES, Unreachable
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import ArtifactMissing, Store
from tests.support.paths import ROOT
from tests.support.publishing import Publish
from tests.support.s3_proxy import Proxy
from tests.support.toy_stage import Seen, ToyConfig, write

LARGE_MB = 200
SEVERAL_PARTS = 3 * PART_BYTES + 12_345


@pytest.fixture
def store(remote: Settings, s3_proxy: Proxy) -> Store:
    """A store behind the proxy."""
    return Store.open(remote)


@pytest.fixture
def direct(remote: Settings, s3_proxy: Proxy, s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Store:
    """The same store without the proxy."""
    with monkeypatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
        found = Store.open(remote)
        found.all()
    return found


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder to publish with one file of several parts."""
    folder = tmp_path / "large"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(os.urandom(SEVERAL_PARTS))
    return folder


FACTS = {"kind": "model", "stage": "rl", "version": 1, "fingerprint": "a" * 64, "payload": {}, "parents": {}}


def check_whole(store: Store, folder: Path) -> None:
    """The artifact of `large` is there, byte by byte."""
    manifest = store.find("model", "a" * 64)
    assert manifest is not None
    fetched = store.local(manifest.ref) / "model.safetensors"
    assert fetched.read_bytes() == (folder / "model.safetensors").read_bytes()


@pytest.mark.parametrize("kind", ["status", "reset", "lost"])
@pytest.mark.parametrize("request_", ["PUT", "POST", "GET", "HEAD"])
def test_every_kind_of_request_is_tried_again(
    store: Store, s3_proxy: Proxy, large: Path, kind: str, request_: str
) -> None:
    """POST begins and completes the upload of parts; `lost` is the case in which it was done and we were not told."""
    fault = s3_proxy.add(kind, matches=lambda method, path: method == request_, times=3, status=503)
    store.publish(large, **FACTS)
    check_whole(store, large)
    assert len(fault.seen) == 3


@pytest.mark.parametrize("operation", ["?uploads", "partNumber=2", "uploadId="])
def test_an_answer_that_was_lost_does_no_harm(
    store: Store, s3_proxy: Proxy, s3_endpoint: str, large: Path, operation: str
) -> None:
    verb = "PUT" if operation == "partNumber=2" else "POST"
    fault = s3_proxy.add("lost", matches=lambda method, path: method == verb and operation in path)
    store.publish(large, **FACTS)
    check_whole(store, large)
    assert len(fault.seen) == 1
    assert uploads(s3_endpoint, store) == []


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_these_answers_pass(store: Store, s3_proxy: Proxy, publish: Publish, status: int) -> None:
    s3_proxy.add("status", status=status, times=2)
    made = publish(store, "dataset")
    s3_proxy.add("status", status=status, times=2)
    assert store.find("dataset", made.fingerprint) == made


@pytest.mark.parametrize("kind", ["cut", "slow"])
def test_a_broken_or_slow_download_is_whole_in_the_end(store: Store, s3_proxy: Proxy, large: Path, kind: str) -> None:
    store.publish(large, **FACTS)
    is_part = lambda method, path: method == "GET" and "safetensors" in path  # noqa: E731
    fault = s3_proxy.add(kind, matches=is_part, times=3, delay_s=0.005)
    check_whole(store, large)
    assert len(fault.seen) == 3


def test_silence_is_broken_off_and_tried_again(store: Store, s3_proxy: Proxy, publish: Publish) -> None:
    made = publish(store, "dataset")
    impatient = Files(store.files.uri, patience_s=60)
    impatient.fs.config_kwargs["read_timeout"] = 0.5
    fault = s3_proxy.add("slow", matches=lambda method, path: method == "GET", times=2, delay_s=3)
    assert impatient.read_text_or_none(f"{made.ref.path}/manifest.json") is not None
    assert len(fault.seen) == 2


def test_the_endpoint_may_be_away_while_artifacts_come_and_go(store: Store, s3_proxy: Proxy, large: Path) -> None:
    absence = s3_proxy.away_for(1.5)
    store.publish(large, **FACTS)
    absence.join()
    absence = s3_proxy.away_for(1.5)
    check_whole(store, large)
    absence.join()


@pytest.mark.parametrize("seconds", [0, pytest.param(30, marks=pytest.mark.long(reason="half a minute of absence"))])
def test_an_absence_is_said_and_within_the_default_patience(
    store: Store, s3_proxy: Proxy, publish: Publish, caplog: pytest.LogCaptureFixture, seconds: float
) -> None:
    with caplog.at_level(logging.WARNING), ThreadPoolExecutor(1) as pool:
        with s3_proxy.away():
            published = pool.submit(publish, store, "dataset")
            deadline = time.monotonic() + 60
            while "tried for up to 120 s" not in caplog.text:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            time.sleep(seconds)
        made = published.result()
    assert store.find("dataset", made.fingerprint) == made


def test_a_stage_outlasts_an_absence_with_its_lease(remote: Settings, store: Store, s3_proxy: Proxy) -> None:
    """The endpoint goes while the body runs; heartbeats fail meanwhile, and nobody takes the stage over."""
    toy = Stage("toy", version=1, kind="samples")

    def body(build: Build, config: ToyConfig) -> None:
        s3_proxy.away_for(1.5)
        time.sleep(1)
        write(build, config)

    runtime = Runtime(lease_timeout_s=3)
    made = ensure(StageCall(toy, body, ToyConfig(), runtime, {}), settings=remote, watcher=Seen())
    assert not made.hit
    assert store.find("samples", made.manifest.fingerprint) == made.manifest
    assert all(
        name.endswith(".json") or name == made.manifest.data for name in store.files.folders(made.manifest.ref.path)
    )
    assert "lease.json" not in store.files.folders(made.manifest.ref.path)


def test_patience_ends_with_an_error_that_says_where_and_how_long(
    remote: Settings, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDTRAIN_S3_PATIENCE_S", "2")
    files = Store.open(remote).files
    started = time.monotonic()
    with (
        s3_proxy.away(),
        pytest.raises(Unreachable, match=rf"'midtrain' at {s3_proxy.address} fails .*attempts: \d+ in \d+ of 2 s"),
    ):
        files.write_text("a", "b")
    assert 0.5 < time.monotonic() - started < 30


def test_a_lease_is_won_by_one_who_was_not_told(store: Store, s3_proxy: Proxy) -> None:
    """The endpoint wrote the lease and the answer was lost: the second attempt finds it there, and it is ours."""
    s3_proxy.add("lost", matches=lambda method, path: method == "PUT")
    first, second = (Lease(store.files, "samples/abc/lease.json", 30) for _ in range(2))
    assert first.try_acquire()
    assert not second.try_acquire()


def test_an_expired_lease_is_taken_over_and_its_holder_yields(store: Store, direct: Store, s3_proxy: Proxy) -> None:
    """A holder whose heartbeats do not arrive is succeeded, and does not fight back when they would again."""
    first = Lease(store.files, "samples/abc/lease.json", 4)
    second = Lease(direct.files, "samples/abc/lease.json", 4)
    assert first.try_acquire()
    with first.held():
        assert not second.try_acquire()
        with s3_proxy.away():
            deadline = time.monotonic() + 60
            while not second.try_acquire():
                assert time.monotonic() < deadline
                time.sleep(0.1)
        with second.held():
            time.sleep(5)
            assert not Lease(direct.files, "samples/abc/lease.json", 4).try_acquire()
            assert second._is_mine()
    assert direct.files.sizes("samples/abc") == {}


def test_a_lease_that_cannot_be_given_back_costs_nothing_but_its_time(
    remote: Settings, s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MIDTRAIN_S3_PATIENCE_S", "0.1")
    lease = Lease(Store.open(remote).files, "samples/abc/lease.json", 2)
    assert lease.try_acquire()
    with s3_proxy.away(), lease.held():
        pass
    assert "was not given back" in caplog.text


def kill_in_upload(remote: Settings, s3_proxy: Proxy, large: Path) -> None:
    """Publish in a process of its own, killed when it has sent its second part and not yet the last."""
    s3_proxy.add("status", matches=lambda method, path: "partNumber=4" in path, times=1000, status=500)
    code = (
        "from pathlib import Path; from tasks.spine.store.store import Store;"
        "from tasks.spine.store.settings import Settings;"
        f"store = Store.open(Settings(home={str(remote.home)!r}, store={remote.store!r}));"
        f"store.publish(Path({str(large)!r}), **{FACTS!r})"
    )
    child = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    deadline = time.monotonic() + 60
    while not any("partNumber=4" in path for _, path in s3_proxy.requests):
        assert child.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    child.send_signal(signal.SIGKILL)
    child.wait()
    s3_proxy.faults.clear()


def uploads(endpoint: str, store: Store) -> list[str]:
    """Keys of unfinished uploads to a store."""
    prefix = store.files.root.partition("/")[2]
    found = boto3.client("s3", endpoint_url=endpoint).list_multipart_uploads(Bucket="midtrain", Prefix=prefix)
    return [upload["Key"] for upload in found.get("Uploads", [])]


def test_a_kill_in_the_middle_of_an_upload_leaves_nothing_readable(
    remote: Settings, store: Store, s3_proxy: Proxy, s3_endpoint: str, large: Path
) -> None:
    kill_in_upload(remote, s3_proxy, large)
    assert store.find("model", "a" * 64) is None
    assert store.all() == []
    assert store.files.sizes("model") == {}
    assert len(uploads(s3_endpoint, store)) == 1
    store.publish(large, **FACTS)
    check_whole(store, large)
    assert uploads(s3_endpoint, store) == []


def test_an_upload_that_fails_is_aborted(
    remote: Settings, s3_proxy: Proxy, s3_endpoint: str, large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDTRAIN_S3_PATIENCE_S", "1")
    s3_proxy.add("status", matches=lambda method, path: "partNumber=2" in path, times=1000)
    store = Store.open(remote)
    with pytest.raises(Unreachable, match="upload_part: 500"):
        store.publish(large, **FACTS)
    assert uploads(s3_endpoint, store) == []
    assert store.all() == []


def test_content_that_changed_in_the_store_is_not_used(store: Store, publish: Publish) -> None:
    made = publish(store, "dataset", files={"a": "0123456789"})
    store.files.write_text(f"{made.ref.path}/{made.data}/a", "0123456780")
    with pytest.raises(ArtifactMissing, match=r"a of artifact dataset/.*SHA-256 differs.*with force"):
        store.local(made.ref)
    assert not list(
        store.cache.rglob("*"),
    ) or not any(path.is_file() for path in store.cache.rglob("*"))


def test_another_process_is_seen_at_once(remote: Settings, store: Store, publish: Publish) -> None:
    made = publish(store, "dataset")
    code = (
        "from tasks.spine.store.files import Files;"
        f"files = Files({remote.store!r}); files.write_text('dataset/0123/manifest.json', '{{}}');"
        f"files.remove({made.ref.path!r})"
    )
    assert store.find("dataset", made.fingerprint) == made
    assert store.files.folders("dataset") == [made.fingerprint[:16]]
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    assert store.find("dataset", made.fingerprint) is None
    assert store.files.folders("dataset") == ["0123"]
    assert store.files.read_text_or_none("dataset/0123/manifest.json") == "{}"


@pytest.mark.parametrize("action", ["read", "write", "list", "create"])
def test_a_missing_bucket_is_named_at_once(s3_proxy: Proxy, action: str) -> None:
    files = Files("s3://no-such-bucket/store")
    with pytest.raises(Permanent, match=rf"no bucket 'no-such-bucket' at {s3_proxy.address}; create it"):
        act(files, action)
    assert len(s3_proxy.requests) <= 2


@pytest.mark.parametrize("action", ["read", "write", "list", "create"])
def test_refused_access_is_named_at_once(s3_proxy: Proxy, action: str) -> None:
    s3_proxy.add("status", status=403, times=1000)
    with pytest.raises(Permanent, match=r"'midtrain' at .* refuses access .*AWS_SECRET_ACCESS_KEY") as raised:
        act(Files("s3://midtrain/store"), action)
    assert len(s3_proxy.requests) == 1
    assert "testing" not in str(raised.value)


def act(files: Files, action: str) -> None:
    match action:
        case "read":
            files.read_text_or_none("a")
        case "write":
            files.write_text("a", "b")
        case "list":
            files.folders("")
        case "create":
            files.create_exclusive("a", "b")


def test_missing_credentials_are_named(s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(Permanent, match=r"no credentials for bucket 'midtrain'.*set AWS_ACCESS_KEY_ID"):
        Files("s3://midtrain/store").write_text("a", "b")


def test_region_and_endpoint_come_from_the_environment(s3_proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", s3_proxy.address)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_REGION", "eu-central-7")
    files = Files("s3://midtrain/store")
    files.write_text("region", "x")
    assert files.fs.s3.meta.region_name == "eu-central-7"
    assert files.fs.s3.meta.endpoint_url == s3_proxy.address


MEASURE = """
import re, sys
from pathlib import Path
from tasks.spine.store.files import Files
# Not ru_maxrss, which begins with that of the parent.
peak_kb = lambda: int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
files = Files(sys.argv[1])
files.write_text("first", "x")
before = peak_kb()
match sys.argv[2]:
    case "up": files.put_file(Path(sys.argv[3]), "large")
    case "down": files.fetch_folder("", ["large"], Path(sys.argv[3]))
print((peak_kb() - before) // 1024)
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_file(remote: Settings, tmp_path: Path) -> None:
    file = tmp_path / "large"
    block = os.urandom(2**20)
    with file.open("wb") as stream:
        for _ in range(LARGE_MB):
            stream.write(block)

    def used_mb(direction: str, place: Path) -> int:
        command = [sys.executable, "-c", MEASURE, remote.store, direction, str(place)]
        return int(subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout)

    up, down = used_mb("up", file), used_mb("down", tmp_path / "fetched")
    assert digest(tmp_path / "fetched" / "large") == digest(file)
    print(f"{LARGE_MB} MB: {up} MB to send, {down} MB to fetch")
    assert 0 < up < LARGE_MB * 0.8
    assert 0 < down < LARGE_MB * 0.8


def digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
