"""`midtrain verify-store` names every damaged thing of a store, local or remote, and changes nothing."""

from pathlib import Path

import pytest
from rich.console import Console

from flows.cli.verify_store import verify_store
from tasks.shared.sampling.pool import Pool
from tasks.spine.store.gc import list_files
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import ArtifactMissing, Store
from tests.support.pool_rows import row
from tests.support.publishing import Publish, publishing

POOL = f"pool/{'a' * 16}"


@pytest.fixture(params=["local", "S3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "local":
        return Store.open(Settings(home=tmp_path / "home [/x] %41"))
    bucket = request.getfixturevalue("s3_bucket")
    return Store.open(Settings(home=tmp_path / "home", store=f"s3://{bucket}/{tmp_path.name}"))


@pytest.fixture
def publish(tmp_path: Path) -> Publish:
    return publishing(tmp_path)


def verified(store: Store, folder: Path) -> tuple[int, str]:
    console = Console(width=400, record=True, file=(folder / "out.txt").open("w"))
    return verify_store(store, console), console.export_text()


def flip(store: Store, path: str) -> None:
    """Change a bit in the middle of a file of the store, local or remote."""
    content = bytearray(store.files.fs.cat_file(store.files.full(path)))
    content[len(content) // 2] ^= 4
    store.files.fs.pipe_file(store.files.full(path), bytes(content))


def test_damage_is_named_and_what_is_whole_is_counted(store: Store, publish: Publish, tmp_path: Path) -> None:
    with pytest.raises(ArtifactMissing, match=r"nothing in the store .*: nothing was verified"):
        verified(store, tmp_path)
    first = publish(store, "dataset", files={"a": "first"})
    made = publish(store, "dataset", files={"a": "second", "deep/b": "more"})
    scores = publish(store, "evaluation", summary={"scores": {"gsm8k": {"pass@1": 0.25}}})
    cut = publish(store, "samples", files={"part": "0123456789"})
    name = Pool(f"{store.files.uri}/{POOL}").write([row("a"), row("b")])
    assert verified(store, tmp_path)[0] == 0
    assert "4 artifacts and 1 batches of samples" in verified(store, tmp_path)[1]

    flip(store, f"{first.ref.path}/{first.data}/a")
    flip(store, f"{scores.ref.path}/manifest.json")
    store.files.write_text(f"{cut.ref.path}/{cut.data}/part", "0123")
    flip(store, f"{POOL}/{name}")
    before = list_files(store.files)
    code, text = verified(store, tmp_path)
    assert code == 1
    damaged = [line for line in text.splitlines() if line.startswith("│")]
    assert [line.split()[1] for line in damaged] == [
        f"{scores.ref.path}/manifest.json",
        f"{first.ref.path}/{first.data}",
        f"{cut.ref.path}/{cut.data}",
        f"{POOL}/{name}",
    ]
    assert str(made.data) not in text
    assert "4 damaged. Run the pipelines again" in text
    assert list_files(store.files) == before


def test_a_base_model_that_is_gone_is_named(publish: Publish, tmp_path: Path) -> None:
    store = Store.open(Settings(home=tmp_path / "home"))
    fields = {"kind": "model", "stage": "model", "version": 1, "fingerprint": "a" * 64, "payload": {}, "parents": {}}
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "weights").write_text("w")
    store.publish(tmp_path / "hub", external=str(tmp_path / "hub"), **fields)
    assert verified(store, tmp_path)[0] == 0
    (tmp_path / "hub").rename(tmp_path / "elsewhere")
    code, text = verified(store, tmp_path)
    assert (code, f"{tmp_path / 'hub'} is not there; it was moved or deleted" in text) == (1, True)
