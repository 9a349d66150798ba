"""The store: what can be found is whole, what is damaged is not found, and references mean their content."""

import json
from pathlib import Path

import pytest

from tasks.spine.store.fingerprint import payload
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import ArtifactMissing, Store
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
    with pytest.raises(ArtifactMissing, match=message):
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
    record = json.loads(store.files.read_text_or_none(path) or "")
    store.files.write_text(path, json.dumps({**record, "invented_later": 1}))
    assert store.find("questions", made.fingerprint) == made
