"""Garbage: what nothing needs goes, in an order that leaves nothing half; all that anything needs stays."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from socket import gethostname

import boto3
import pytest

from tasks.shared.engines.protocol import Sampling
from tasks.shared.sampling.wanted import pool_name
from tasks.spine.store.files import Files
from tasks.spine.store.gc import BUSY, delete, look
from tasks.spine.store.gc_plan import GCPlan, plan
from tasks.spine.store.lineage import ancestry
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import ArtifactMissing, Store
from tests.support.paths import ROOT
from tests.support.publishing import Publish

LATER = time.time() + 86_400
LONG_AGO = "2020-01-01T00:00:00+00:00"


@pytest.fixture(params=["local", "s3"])
def settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    if request.param == "local":
        return Settings(home=tmp_path / "home")
    endpoint = request.getfixturevalue("s3_endpoint")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    boto3.client("s3", endpoint_url=endpoint).create_bucket(Bucket="garbage")
    return Settings(home=tmp_path / "home", store=f"s3://garbage/{tmp_path.name}")


@pytest.fixture
def store(settings: Settings) -> Store:
    return Store.open(settings)


Chain = dict[str, Manifest]


@pytest.fixture
def made(store: Store, publish: Publish) -> Chain:
    """A report on a model, and a line that nobody reports: questions -> a, b -> report, and a -> c -> d."""

    def old(kind: str, name: str, **parents: Manifest) -> Manifest:
        refs = {role: manifest.ref for role, manifest in parents.items()}
        return publish(store, kind, name, parents=refs, created_at=LONG_AGO)

    questions = old("questions", "q")
    a = old("model", "a", questions=questions)
    b = old("evaluation", "b", model=a)
    report = old("report", "r", b=b)
    c = old("dataset", "c", model=a)
    d = old("model", "d", dataset=c)
    return {"questions": questions, "a": a, "b": b, "report": report, "c": c, "d": d}


@pytest.fixture
def planned(store: Store, settings: Settings) -> Callable[..., GCPlan]:
    """`planned(roots..., since=...)`: a plan over the store as it is, with reports as roots."""

    def call(*roots: Manifest, since: float = LATER) -> GCPlan:
        snapshot = look(store, settings)
        reports = {ref: "report" for ref in snapshot.contents if ref.kind == "report"}
        return plan(snapshot, {**reports, **{manifest.ref: "named" for manifest in roots}}, since)

    return call


def going(plan_: GCPlan) -> list[ArtifactRef | None]:
    return [item.ref for item in plan_.items if item.what == "artifact"]


def everything(settings: Settings) -> dict[str, int]:
    return Store.open(settings).files.sizes("")


def test_the_ancestry_of_a_report_stays_and_children_go_before_parents(
    planned: Callable[..., GCPlan], made: Chain
) -> None:
    found = planned()
    assert going(found) == [made["d"].ref, made["c"].ref]
    assert all(item.extent.size > 0 and item.why for item in found.items)
    assert set(found.kept) == {made[name].ref for name in ("questions", "a", "b", "report")}
    assert found.kept[made["a"].ref] == f"{made['b'].ref} needs it"


@pytest.mark.parametrize(("root", "gone"), [("d", []), ("c", ["d"]), ("a", ["d", "c"])])
def test_a_named_artifact_stays_with_all_it_came_from(
    planned: Callable[..., GCPlan], made: Chain, root: str, gone: list[str]
) -> None:
    assert going(planned(made[root])) == [made[name].ref for name in gone]


def test_what_was_made_lately_stays_with_all_it_came_from(
    store: Store, publish: Publish, planned: Callable[..., GCPlan], made: Chain
) -> None:
    young = publish(store, "evaluation", "young", parents={"model": made["c"].ref})
    assert going(planned(since=time.time() - 60)) == [made["d"].ref]
    *first, last = going(planned(since=LATER))
    assert {*first} == {young.ref, made["d"].ref}
    assert last == made["c"].ref


def test_planning_changes_nothing(settings: Settings, planned: Callable[..., GCPlan], made: Chain) -> None:
    before = everything(settings)
    planned()
    assert everything(settings) == before


def test_deletion_leaves_what_is_needed_whole_and_of_the_rest_nothing(
    store: Store, settings: Settings, planned: Callable[..., GCPlan], made: Chain
) -> None:
    assert [why for _, why in delete(store, settings, planned())] == ["", ""]
    for name in ("questions", "a", "b", "report"):
        assert store.find(made[name].kind, made[name].fingerprint) == made[name]
    assert all(node.manifest is not None for node in ancestry(store, made["report"].ref).walk())
    for name in ("c", "d"):
        assert store.files.sizes(made[name].ref.path) == {}
        with pytest.raises(ArtifactMissing, match="no artifact"):
            store.manifest(str(made[name].ref))
    assert planned().items == ()


@pytest.mark.parametrize("calls", range(3))
def test_an_interrupted_deletion_leaves_nothing_half_readable_and_the_next_one_ends_it(
    store: Store,
    settings: Settings,
    planned: Callable[..., GCPlan],
    made: Chain,
    calls: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut off before the n-th removal of something of an artifact."""
    found = planned()
    remove, done = Files.remove, []

    def cut(files: Files, path: str) -> None:
        if "lease.json" not in path:
            if len(done) == calls:
                raise KeyboardInterrupt
            done.append(path)
        remove(files, path)

    with monkeypatch.context() as patch:
        patch.setattr(Files, "remove", cut)
        with pytest.raises(KeyboardInterrupt):
            list(delete(store, settings, found))
    whole = store.find("model", made["d"].fingerprint)
    assert (whole is not None) == (calls == 0)
    assert calls == 0 or not store.files.read_text_or_none(f"{made['d'].ref.path}/manifest.json")
    assert store.find("dataset", made["c"].fingerprint) == made["c"], "children go first"
    list(delete(store, settings, planned()))
    assert store.files.sizes(made["d"].ref.path) == store.files.sizes(made["c"].ref.path) == {}
    assert store.manifest(made["report"].ref) == made["report"]


def test_what_somebody_builds_stays_and_so_does_what_a_builder_may_read(
    store: Store, settings: Settings, planned: Callable[..., GCPlan], made: Chain
) -> None:
    lease = store.lease(made["d"].kind, made["d"].fingerprint, 60)
    assert lease.try_acquire()
    left = settings.work / f"rl-{made['d'].fingerprint[:16]}"
    left.mkdir(parents=True)
    before = everything(settings)
    held = planned()
    assert made["d"].ref in held.kept
    assert made["c"].ref in held.kept
    assert held.items == ()
    with lease.held():
        pass
    lease = store.lease("samples", "f" * 64, 60)
    assert lease.try_acquire()
    blocked = planned()
    assert going(blocked) == [made["d"].ref, made["c"].ref]
    reasons = {item.what: why for item, why in delete(store, settings, blocked)}
    assert reasons == {"artifact": BUSY, "work folder": ""}
    assert {name for name in everything(settings) if "lease" not in name} == {
        name for name in before if "lease" not in name
    }


def test_a_builder_that_starts_after_the_plan_is_left_alone(
    store: Store, settings: Settings, planned: Callable[..., GCPlan], made: Chain
) -> None:
    found = planned()
    lease = store.lease(made["d"].kind, made["d"].fingerprint, 60)
    assert lease.try_acquire()
    assert [bool(why) for _, why in delete(store, settings, found)] == [True, False]
    assert store.find("model", made["d"].fingerprint) == made["d"]


def test_leftovers_go_and_what_the_store_did_not_write_stays(
    store: Store, settings: Settings, planned: Callable[..., GCPlan], made: Chain
) -> None:
    files, folder = store.files, f"samples/{'e' * 16}"
    dead = {"token": "a" * 32, "host": gethostname(), "pid": 1, "process_started": 0, "beat": 0, "timeout_s": 60}
    left = [f"{folder}/{'1' * 12}/part", f"{folder}/.manifest.json.{'2' * 32}", f"{folder}/lease.json"]
    foreign = ["mlflow/1/run/artifacts/report.html", f"mlflow/{'3' * 16}/notes.txt", "readme.txt"]
    for path in [*left, *foreign]:
        files.write_text(path, json.dumps(dead))
    work = settings.work / f"generate-{'e' * 16}"
    work.mkdir(parents=True)
    (work / "checkpoint").write_text("x" * 100)
    found = planned(made["d"])
    assert {(item.what, item.path) for item in found.items} == {
        ("left over", f"{folder}/{'1' * 12}"),
        ("left over", f"{folder}/.manifest.json.{'2' * 32}"),
        ("lease", f"{folder}/lease.json"),
        ("work folder", work.name),
    }
    assert next(item.extent.size for item in found.items if item.what == "work folder") == 100
    assert planned(made["d"], since=time.time() - 60).items == (), "touched lately"
    assert not any(why for _, why in delete(store, settings, found))
    assert not work.exists()
    assert files.sizes(folder) == {}
    assert set(foreign) <= set(files.sizes(""))


def test_samples_stay_while_an_artifact_made_from_them_does(
    store: Store, settings: Settings, publish: Publish, planned: Callable[..., GCPlan], made: Chain
) -> None:
    sampling, greedy = Sampling(temperature=0.7), Sampling(temperature=0, top_p=1)
    digest, other = made["a"].digest, made["d"].digest
    kept = [f"pool/{pool_name(digest, sampling)}", f"pool/{pool_name(digest, greedy)}"]
    gone = [f"pool/{pool_name(other, sampling)}", f"pool/{pool_name(digest, Sampling(temperature=0.1))}"]
    for folder in [*kept, *gone]:
        store.files.write_text(f"{folder}/{'b' * 32}.parquet", "rows")
    store.files.write_text(f"{kept[0]}/{'c' * 32}.parquet.corrupt", "rows")
    user = publish(store, "samples", pools=kept, parents={"model": made["a"].ref}, created_at=LONG_AGO)
    publish(store, "samples", "garbage", pools=gone[:1], parents={"model": made["d"].ref}, created_at=LONG_AGO)
    found = planned(user, made["d"])
    assert {item.path for item in found.items if item.what == "samples"} == {*gone}
    assert [item.path for item in found.items if item.what == "left over"] == [f"{kept[0]}/{'c' * 32}.parquet.corrupt"]
    list(delete(store, settings, found))
    assert {f"pool/{name}" for name in store.files.sizes("pool")} == {f"{name}/{'b' * 32}.parquet" for name in kept}


def test_no_samples_go_while_an_artifact_that_stays_does_not_say_what_it_was_made_from(
    store: Store, publish: Publish, planned: Callable[..., GCPlan], made: Chain
) -> None:
    store.files.write_text(f"pool/{'d' * 16}/{'b' * 32}.parquet", "rows")
    silent = publish(store, "samples", pools=None, created_at=LONG_AGO)
    said = {what: sum(item.what == what for item in planned().items) for what in ("samples", "artifact")}
    assert said == {"samples": 1, "artifact": 3}, "it goes itself, so nothing that stays may need the samples"
    assert not [item for item in planned(silent).items if item.what == "samples"]


def test_a_content_that_a_forced_rebuild_succeeded_stays_for_its_children_and_else_goes(
    store: Store, settings: Settings, publish: Publish, planned: Callable[..., GCPlan], made: Chain
) -> None:
    again = publish(store, "model", "a", {"data.txt": "another"}, parents=made["a"].parents, created_at=LONG_AGO)
    assert (again.ref.path, again.digest != made["a"].digest) == (made["a"].ref.path, True)
    assert set(going(planned())) == {made["d"].ref, made["c"].ref, again.ref}
    list(delete(store, settings, planned()))
    assert store.manifest(made["a"].ref) == made["a"]
    assert store.find("model", made["a"].fingerprint) is None
    assert planned().items == ()


def test_an_unreadable_manifest_stops_it(store: Store, planned: Callable[..., GCPlan], made: Chain) -> None:
    store.files.write_text(f"{made['c'].ref.path}/manifest.json", "{")
    with pytest.raises(ValueError, match=f"{made['c'].ref.path}/manifest.json cannot be read as a manifest"):
        planned()


def test_a_model_outside_the_store_is_never_touched(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home")
    store, weights = Store.open(settings), tmp_path / "base"
    weights.mkdir()
    (weights / "model.safetensors").write_text("weights")
    fields = {"kind": "model", "stage": "model", "version": 1, "fingerprint": "a" * 64, "payload": {}, "parents": {}}
    store.publish(weights, external=str(weights), created_at=LONG_AGO, **fields)
    found = plan(look(store, settings), {}, LATER)
    assert [item.what for item in found.items] == ["artifact"]
    list(delete(store, settings, found))
    assert os.listdir(weights) == ["model.safetensors"]
    assert store.all() == []


def test_local_copies_of_a_remote_store_go_with_their_artifacts(
    store: Store, settings: Settings, planned: Callable[..., GCPlan], made: Chain
) -> None:
    if store.files.is_local:
        pytest.skip("a local store has no copies")
    kept, gone = store.local(made["a"].ref), store.local(made["d"].ref)
    (store.cache / "hashes.json").write_text("{}")
    list(delete(store, settings, planned()))
    assert (kept.is_dir(), gone.exists(), (store.cache / "hashes.json").exists()) == (True, False, True)


# Killed with the first of two files on this machine.
FETCH = """
import os, signal, sys
from pathlib import Path
from tasks.spine.store.files import Files
stop = lambda name, local: os.kill(os.getpid(), signal.SIGKILL)
Files(sys.argv[1]).fetch_folder("", ["one", "two"], Path(sys.argv[2]), stop)
"""


@pytest.mark.parametrize("folder", [f"model/{'e' * 16}/{'1' * 12}", f"models/{'2' * 16}"], ids=["artifact", "base"])
def test_a_fetch_that_was_killed_goes_and_one_that_goes_on_stays(tmp_path: Path, folder: str) -> None:
    settings = Settings(home=tmp_path / "home")
    store, source = Store.open(settings), Files(str(tmp_path / "remote"))
    for name in ("one", "two"):
        source.write_text(name, "x" * 100)
    target = store.cache / folder
    target.parent.mkdir(parents=True)
    killed = subprocess.run([sys.executable, "-c", FETCH, source.uri, str(target)], cwd=ROOT)
    assert killed.returncode == -signal.SIGKILL
    (left,) = target.parent.iterdir()
    assert plan(look(store, settings), {}, time.time()).items == (), "it may be going on"
    two_hours_ago = time.time() - 7200
    for path in (left / "one", left):
        os.utime(path, (two_hours_ago, two_hours_ago))
    assert plan(look(store, settings), {}, time.time() - 86_400).items == (), "what is young stays"
    found = plan(look(store, settings), {}, time.time())
    assert [(item.what, store.cache / item.path, item.extent.size) for item in found.items] == [
        ("local copy", left, 100)
    ]
    list(delete(store, settings, found))
    assert not left.exists()
