"""The store: what can be found is whole, what is damaged is not found, and references mean their content."""

import errno
import os
import re
import shutil
from pathlib import Path

import pytest

from tasks.spine.store.digests import MEMORY, file_identity
from tasks.spine.store.fingerprint import payload, sealed, unsealed
from tasks.spine.store.manifest import FileEntry, SourceTable, TrainedRows
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import ArtifactDamaged, ArtifactMissing, Store
from tests.support.publishing import Publish


def test_what_was_published_is_found_with_all_its_facts(store: Store, publish: Publish) -> None:
    parent = publish(store, "questions")
    made = publish(
        store,
        "dataset",
        {"n": 8},
        {"train.parquet": "rows", "deep/card.md": "# card"},
        parents={"questions": parent.ref},
        rows={"train": 4},
        ledger={"kept": 4},
        summary={"families": ["a"]},
        mlflow_run_id="run",
    )
    found = store.find("dataset", made.fingerprint)
    assert found == made
    assert found.parents == {"questions": parent.ref}
    assert [(entry.path, entry.size) for entry in found.files] == [("deep/card.md", 6), ("train.parquet", 4)]
    folder = store.local(made.ref)
    assert (folder / "train.parquet").read_text() == "rows"
    assert (folder / "deep/card.md").read_text() == "# card"
    assert store.find("dataset", "f" * 64) is None
    assert store.find("other", made.fingerprint) is None


def test_the_digest_is_of_the_content_alone(store: Store, publish: Publish) -> None:
    one = publish(store, "samples", {"seed": 1}, {"a": "x", "b": "y"})
    same = publish(store, "samples", {"seed": 2}, {"b": "y", "a": "x"})
    renamed = publish(store, "samples", {"seed": 3}, {"a": "x", "c": "y"})
    assert one.digest == same.digest != renamed.digest
    assert one.fingerprint != same.fingerprint


@pytest.mark.parametrize("damage", ["cut", "grown", "file gone", "folder gone", "manifest gone"])
def test_damage_counts_as_absence(store: Store, publish: Publish, damage: str) -> None:
    made = publish(store, "samples", files={"part.parquet": "0123456789", "other": "x"})
    file = store.local(made.ref) / "part.parquet"
    match damage:
        case "cut":
            file.write_text("01234")
        case "grown":
            file.write_text("0123456789X")
        case "file gone":
            file.unlink()
        case "folder gone":
            for entry in file.parent.iterdir():
                entry.unlink()
            file.parent.rmdir()
        case "manifest gone":
            for entry in Path(store.files.full(made.ref.path)).glob("*.json"):
                entry.unlink()
    assert store.find("samples", made.fingerprint) is None
    with pytest.raises(ArtifactMissing):
        store.local(made.ref)


def test_damage_is_mended_by_publishing_again(store: Store, publish: Publish) -> None:
    made = publish(store, "samples", files={"part": "0123456789"})
    (store.local(made.ref) / "part").write_text("cut")
    again = publish(store, "samples", files={"part": "0123456789"})
    assert again.ref == made.ref
    assert (store.local(made.ref) / "part").read_text() == "0123456789"


@pytest.mark.parametrize("cut", [1, 4, 6, 16])
def test_a_unique_beginning_names_an_artifact(store: Store, publish: Publish, cut: int) -> None:
    made = publish(store, "model")
    publish(store, "samples")
    assert store.manifest(f"model/{made.fingerprint[:cut]}") == made
    assert store.ref(f"model/{made.fingerprint[:cut]}/") == made.ref
    if cut > 4:
        assert store.manifest(made.fingerprint[:cut]) == made


@pytest.mark.parametrize(
    ("name", "message"),
    [("model/zzzz", "no artifact"), ("model/", "no artifact"), ("", "2 artifacts"), ("nothing/ab", "no artifact")],
)
def test_a_name_that_is_not_one_artifact_is_refused(store: Store, publish: Publish, name: str, message: str) -> None:
    publish(store, "model", {"seed": 1})
    publish(store, "model", {"seed": 2})
    with pytest.raises(ArtifactMissing, match=rf"^{message} named .*write kind/fingerprint .`midtrain ls`.$"):
        store.manifest(name)


def test_two_publishers_of_one_fingerprint_never_mix(store: Store, publish: Publish) -> None:
    """Generation is not reproducible: a second builder has other text under the same key."""
    first = publish(store, "samples", files={"a": "first", "only-first": "1"})
    second = publish(store, "samples", files={"a": "second"})
    assert first.fingerprint == second.fingerprint
    assert store.find("samples", first.fingerprint) == second
    assert [file.name for file in store.local(second.ref).iterdir()] == ["a"]


def test_a_reference_keeps_its_meaning_after_a_rebuild(store: Store, publish: Publish) -> None:
    """What was made from the first content keeps its ancestry when the stage is forced to run again."""
    first = publish(store, "samples", files={"a": "first"})
    second = publish(store, "samples", files={"a": "second"})
    assert store.manifest(first.ref) == first
    assert (store.local(first.ref) / "a").read_text() == "first"
    assert (store.local(second.ref) / "a").read_text() == "second"


def test_a_store_can_move(store: Store, publish: Publish, tmp_path: Path) -> None:
    parent = publish(store, "questions")
    made = publish(store, "dataset", parents={"questions": parent.ref})
    (tmp_path / "home/store").rename(tmp_path / "elsewhere")
    moved = Store.open(Settings(home=tmp_path / "home", store=str(tmp_path / "elsewhere")))
    assert moved.find("dataset", made.fingerprint) == made
    assert moved.local(made.ref).parent.parent.parent == tmp_path / "elsewhere"
    assert str(tmp_path) not in moved.files.read_text_or_none(f"{made.ref.path}/manifest.json")


def test_an_artifact_that_only_points_at_files_is_checked_there(store: Store, tmp_path: Path) -> None:
    weights = tmp_path / "hub" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_text("weights")
    made = store.publish(
        weights.parent,
        kind="model",
        stage="model",
        version=1,
        fingerprint="a" * 64,
        payload={},
        parents={},
        external=str(weights.parent),
    )
    assert weights.exists()
    assert store.local(made.ref) == weights.parent
    weights.write_text("")
    assert store.find("model", "a" * 64) is None


def test_a_miss_is_explained_by_the_nearest_artifact_of_the_stage(store: Store, publish: Publish) -> None:
    publish(store, "model", {"lr": 1, "epochs": 3, "seed": 0}, stage="rl")
    publish(store, "model", {"lr": 2, "epochs": 1, "seed": 0}, stage="rl")
    publish(store, "model", {"lr": 2, "epochs": 3, "seed": 0}, stage="midtrain")
    wanted = payload("rl", 1, {"lr": 2, "epochs": 3, "seed": 0}, {})
    assert store.explain_miss("model", wanted) == {"config.lr": (1, 2)}
    assert store.explain_miss("model", payload("evaluate", 1, {}, {})) is None


def test_all_lists_whole_artifacts_only(store: Store, publish: Publish) -> None:
    publish(store, "questions")
    publish(store, "samples", files={"a": "first"})
    made = publish(store, "samples", files={"a": "second"})
    store.files.write_text("samples/0000000000000000/lease.json", "{}")
    assert {manifest.kind for manifest in store.all()} == {"questions", "samples"}
    assert store.all("samples") == [made]


def test_records_of_later_versions_stay_readable(store: Store, publish: Publish) -> None:
    made = publish(store, "questions")
    path = f"{made.ref.path}/manifest.json"
    record = unsealed(store.files.read_text_or_none(path) or "")
    store.files.write_text(path, sealed({**record, "invented_later": 1}))
    assert store.find("questions", made.fingerprint) == made


def flip(path: Path, position: int = 0) -> None:
    """Change one bit of a file, as nobody means to: size and time of modification stay."""
    times, content = path.stat(), bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_changed_byte_counts_as_absence_and_is_named(
    store: Store, publish: Publish, caplog: pytest.LogCaptureFixture
) -> None:
    made = publish(store, "samples", files={"part.parquet": "0123456789", "other": "x"})
    file = store.local(made.ref) / "part.parquet"
    assert store.find("samples", made.fingerprint) == made
    flip(file, 4)
    assert store.find("samples", made.fingerprint) is None
    assert f"{file} has other bytes" in caplog.text
    for name in (made.ref, str(made.ref)):
        with pytest.raises(ArtifactMissing, match=r"part\.parquet has other bytes than were published"):
            store.manifest(name)


@pytest.mark.parametrize("rotten", [False, True])
def test_what_a_disk_changes_without_a_write_is_noticed_at_first_use_and_then_mended(
    store: Store, publish: Publish, monkeypatch: pytest.MonkeyPatch, rotten: bool
) -> None:
    """The memory of digests says what the file held when another process read it; nothing tells of a change."""
    monkeypatch.setattr("tasks.spine.store.digests.GRAIN_S", -1.0)
    made = publish(store, "samples", files={"part": "0123456789"})
    file = Path(store.place(made)) / "part"
    if rotten:
        file.write_text("0123456780")
    memory = {file_identity(os.stat(file)): made.files[0].sha256}
    store.cache.mkdir(parents=True)
    (store.cache / MEMORY).write_text(sealed(memory))
    assert store.find("samples", made.fingerprint) == made
    if not rotten:
        assert store.local(made.ref) == file.parent
        return
    with pytest.raises(ArtifactDamaged, match="part has other bytes than were published"):
        store.local(made.ref)
    assert store.find("samples", made.fingerprint) is None


def test_a_file_that_nobody_published_is_not_read_along(store: Store, publish: Publish) -> None:
    """Loaders of models take what lies in a folder: a template, an adapter."""
    made = publish(store, "model", files={"config.json": "{}"})
    folder = store.local(made.ref)
    (folder / ".nfs0001").write_text("the system's own")
    assert store.local(made.ref) == folder
    (folder / "chat_template.jinja").write_text("other words")
    assert store.find("model", made.fingerprint) == made
    with pytest.raises(ArtifactDamaged, match=r"chat_template\.jinja was not published with it; remove that file"):
        store.local(made.ref)


def test_no_changed_bit_of_a_manifest_goes_unnoticed(store: Store, publish: Publish) -> None:
    """Scores stand in manifests, and reports read them there."""
    made = publish(store, "evaluation", summary={"scores": {"gsm8k": {"pass@1": 0.25, "note": "ä"}}}, rows={"n": 8})
    path = Path(store.files.full(f"{made.ref.path}/manifest.json"))
    content = path.read_bytes()
    for position in range(len(content)):
        for bit in (1, 16):
            path.write_bytes(content[:position] + bytes([content[position] ^ bit]) + content[position + 1 :])
            assert store.find("evaluation", made.fingerprint) in (None, made)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"\x00" * 40, b'{"kind": "samples"}'])
def test_an_unreadable_manifest_is_a_miss_that_is_named(
    store: Store, publish: Publish, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    made, whole = publish(store, "samples"), publish(store, "questions")
    path = Path(store.files.full(f"{made.ref.path}/manifest.json"))
    path.write_bytes(content)
    assert store.find("samples", made.fingerprint) is None
    assert f"{path} cannot be read as a manifest" in caplog.text
    assert store.all() == [whole]
    with pytest.raises(ArtifactMissing, match=re.escape(str(path))):
        store.manifest(str(made.ref))
    assert publish(store, "samples") == store.find("samples", made.fingerprint)


def test_a_disk_that_is_full_takes_nothing_from_what_was_published(
    store: Store, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A forced rebuild of the same content, where the store is on another disk than unfinished work."""
    made = publish(store, "samples", files={"a": "x"})

    def full(source: Path, target: Path) -> None:
        target.mkdir(parents=True)
        raise OSError(errno.ENOSPC, "No space left on device", str(target))

    with monkeypatch.context() as patch, pytest.raises(OSError, match="No space left"):
        patch.setattr(shutil, "move", full)
        publish(store, "samples", files={"a": "x"})
    assert store.find("samples", made.fingerprint) == made
    assert {entry.name for entry in Path(store.place(made)).parent.iterdir()} == {
        "manifest.json",
        f"{made.data}.json",
        made.data,
    }


def test_a_place_that_cannot_be_reached_counts_as_absence(store: Store, tmp_path: Path) -> None:
    """A model in a folder of another user, or with a name that is too long for this file system."""
    files = (FileEntry(path="a", size=1, sha256="0" * 64),)
    fields = {"kind": "model", "stage": "model", "version": 1, "payload": {}, "parents": {}, "files": files}
    made = store.publish(tmp_path, fingerprint="a" * 64, external=f"/{'x' * 300}", **fields)
    assert store.find("model", made.fingerprint) is None
    with pytest.raises(ArtifactDamaged, match="cannot be reached from here"):
        store.local(made.ref)


def test_a_manifest_in_the_folder_of_another_artifact_is_not_taken_for_it(store: Store, publish: Publish) -> None:
    one, two = (publish(store, "model", {"seed": seed}) for seed in (1, 2))
    text = store.files.read_text_or_none(f"{one.ref.path}/manifest.json") or ""
    store.files.write_text(f"{two.ref.path}/manifest.json", text)
    assert store.find("model", two.fingerprint) is None
    with pytest.raises(ArtifactMissing, match=f"is the manifest of another artifact, {one.ref}"):
        store.manifest(str(two.ref))
    assert store.all() == [one]


@pytest.mark.parametrize("name", ["../home/store/model/", "model/../model/", "./model/", ".", "..", "model/../"])
def test_a_name_that_leads_out_of_the_store_is_refused(store: Store, publish: Publish, name: str) -> None:
    made = publish(store, "model")
    with pytest.raises(ArtifactMissing, match="no artifact named"):
        store.manifest(f"{name}{made.fingerprint}" if name.endswith("model/") else name)


@pytest.mark.parametrize("kind", ["..", "../other", "/etc", "a/b", ".hidden", ""])
def test_a_reference_that_leads_out_of_the_store_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match="is no folder of a store"):
        ArtifactRef(kind=kind, fingerprint="a" * 64, digest="b" * 64)


@pytest.mark.parametrize("path", ["../a", "/etc/passwd", "a/../../b", "..", "", "a\\..\\b"])
def test_a_manifest_whose_files_lie_elsewhere_is_refused(path: str) -> None:
    for entry in (FileEntry, SourceTable, TrainedRows):
        fields = {name: "x" for name in entry.model_fields} | {"size": 1, "path": path}
        with pytest.raises(ValueError, match="leads out of its artifact"):
            entry.model_validate(fields)


def test_a_pointer_into_the_local_cache_moves_with_it(settings: Settings, tmp_path: Path) -> None:
    store = Store.open(settings)
    weights = settings.cache / "models" / "ab" / "model.safetensors"
    weights.parent.mkdir(parents=True)
    weights.write_text("weights")
    fields = {"kind": "model", "stage": "model", "version": 1, "fingerprint": "a" * 64, "payload": {}, "parents": {}}
    made = store.publish(weights.parent, external=str(weights.parent), **fields)
    assert store.local(made.ref) == weights.parent
    settings.root.rename(tmp_path / "elsewhere")
    moved = Store.open(Settings(home=tmp_path / "elsewhere"))
    assert moved.local(made.ref) == tmp_path / "elsewhere" / "cache" / "models" / "ab"
    assert moved.place(made) == str(moved.local(made.ref))


def test_homes_on_one_store_point_at_their_own_copies(settings: Settings, tmp_path: Path) -> None:
    """Two machines, each with the same model in a folder of its own, between which the other's is not reachable."""
    fields = {"kind": "model", "stage": "model", "version": 1, "payload": {}, "parents": {}, "fingerprint": "a" * 64}
    homes = [Store(Store.open(settings).files, tmp_path / name / "cache") for name in ("one", "two")]
    for name, home in zip(("one", "two"), homes, strict=True):
        (tmp_path / name / "model").mkdir(parents=True)
        (tmp_path / name / "model" / "weights").write_text("w")
        made = home.publish(tmp_path / name / "model", external=str(tmp_path / name / "model"), **fields)
    assert [home.local(made.ref) for home in homes] == [tmp_path / "one" / "model", tmp_path / "two" / "model"]
    (tmp_path / "two" / "model" / "weights").unlink()
    assert [home.find("model", "a" * 64) for home in homes] == [made, None]
    note = homes[0].cache / "found" / made.digest
    for damage in (b"\xff\xfe", b"", b"model"):
        note.write_bytes(damage)
        assert homes[0].place(made) == made.external


def test_what_a_manifest_points_at_and_is_gone_is_named(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "hub"
    folder.mkdir()
    (folder / "weights").write_text("w")
    fields = {"kind": "model", "stage": "model", "version": 1, "fingerprint": "a" * 64, "payload": {}, "parents": {}}
    store.publish(folder, external=str(folder), **fields)
    folder.rename(tmp_path / "moved")
    assert store.find("model", "a" * 64) is None
    assert f"{folder} is not there; it was moved or deleted" in caplog.text


def test_an_artifact_is_on_the_disk_before_its_manifest(
    store: Store, publish: Publish, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut after the manifest must find all that it lists, and each name in its folder."""
    synced: list[Path] = []
    fsync = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        fsync(descriptor)

    monkeypatch.setattr("os.fsync", note)
    made = publish(store, "model", files={"weights": "w", "deep/card.md": "c"})
    folder = Path(store.files.full(made.ref.path))
    names = [path.relative_to(folder).as_posix() for path in synced if path.is_relative_to(folder)]
    first_manifest = next(index for index, name in enumerate(names) if f".{made.data}.json" in name)
    data = made.data
    assert set(names[:first_manifest]) == {f"{data}/weights", f"{data}/deep/card.md", f"{data}/deep", data, "."}
    assert [name.partition(".json")[0] for name in names[first_manifest:]] == [f".{data}", ".", ".manifest", "."]
