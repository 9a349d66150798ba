"""Where texts come from, and what identity they have."""

import gzip
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pydantic import ValidationError

from tasks.shared.sources.errors import Record, SourceError
from tasks.spine.store.fingerprint import fingerprint
from tasks.texts.config import TextsConfig
from tasks.texts.sources import read_source, resolve
from tests.support.hub_server import COMMIT, Hub, Repository, ask, serve

ROWS = [{"text": f"document {index}"} for index in range(20)]
LINES = [json.dumps(row) + "\n" for row in ROWS]
TEXT = "".join(LINES)


def key(**config: Any) -> str:
    return fingerprint("texts", 1, resolve(TextsConfig(**config)), {})


def rows_of(*, held_out: bool = False, **config: Any) -> list[Any]:
    found = read_source(resolve(TextsConfig(**config)), held_out=held_out)
    return [item.row for item in found if isinstance(item, Record)]


def test_a_moved_corpus_is_the_same_and_a_changed_one_is_not(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "deep" / "b.ndjson"
    second.parent.mkdir()
    first.write_text(TEXT)
    shutil.copy(first, second)
    before = key(source=str(first))
    assert key(source=str(second)) == before
    assert key(source=str(second), format="jsonl") == before
    second.write_text(TEXT.replace("document 7", "document seven"))
    assert key(source=str(second)) != before


def test_a_corpus_that_changes_before_it_was_read_is_never_taken_for_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(TEXT)
    config = resolve(TextsConfig(source=str(tmp_path / "a.jsonl")))
    (tmp_path / "a.jsonl").write_text(TEXT.replace("document 7", "document 8"))
    with pytest.raises(SourceError, match=r"a.jsonl' changed while it was read; run again"):
        list(read_source(config, held_out=False))


def test_every_setting_that_changes_documents_is_identity(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(TEXT)
    (tmp_path / "b.jsonl").write_text("".join(LINES[:4]))
    base = {"source": str(tmp_path / "a.jsonl")}
    changes: list[dict[str, Any]] = [
        {},
        {"text_field": "body"},
        {"given_field": "question"},
        {"joiner": " "},
        {"meta": {"n": "n"}},
        {"name": "mine"},
        {"limit": 5},
        {"seed": 1},
        {"evaluation_documents": 3},
        {"evaluation_source": str(tmp_path / "a.jsonl")},
        {"evaluation_source": str(tmp_path / "b.jsonl")},
        {"min_chars": 2},
        {"max_chars": 50},
        {"max_rejected_share": 0.5},
        {"format": "lines"},
    ]
    assert len({key(**{**base, **change}) for change in changes}) == len(changes)


def test_tiny_identity_is_its_documents() -> None:
    settings: list[dict[str, Any]] = [
        {"tiny": {"count": 20}},
        {"tiny": {"count": 21}},
        {"tiny": {"count": 20, "seed": 1}},
        {"tiny": {"count": 20, "evaluation": "ood"}},
        {"tiny": {"count": 20}, "evaluation_documents": 7},
    ]
    assert len({key(**{"evaluation_documents": 6, **each}) for each in settings}) == len(settings)


def test_an_unread_source_has_no_identity() -> None:
    with pytest.raises(ValueError, match=r"call tasks.texts.sources.resolve\(config\) first"):
        fingerprint("texts", 1, TextsConfig(), {})


def test_held_out_documents_may_have_another_format(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(TEXT)
    (tmp_path / "b.txt").write_text("one document\nin two lines")
    settings = {"source": str(tmp_path / "a.jsonl"), "evaluation_source": str(tmp_path / "b.txt")}
    assert rows_of(**settings) == ROWS
    assert rows_of(held_out=True, **settings) == [{"text": "one document\nin two lines"}]


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    files.mkdir("corpora")
    files.pipe("corpora/web/part-1.jsonl.gz", gzip.compress("".join(LINES[:11]).encode()))
    files.pipe("corpora/web/part-2.jsonl.gz", gzip.compress("".join(LINES[11:]).encode()))
    files.pipe("corpora/web/README.md", b"not texts")
    type(files).clear_instance_cache()
    yield "s3://corpora/web"
    type(files).clear_instance_cache()


def test_a_folder_of_an_object_store_is_read_over_http(bucket: str, tmp_path: Path) -> None:
    assert rows_of(source=bucket) == ROWS
    for name in ("part-1.jsonl.gz", "part-2.jsonl.gz"):
        fsspec.filesystem("s3").get(f"corpora/web/{name}", str(tmp_path / name))
    assert key(source=bucket) == key(source=str(tmp_path))
    with pytest.raises(SourceError, match=r"no file with texts at .*did you mean 'web'\?"):
        resolve(TextsConfig(source="s3://corpora/wed"))


READ = """
import json, sys
from tasks.shared.sources.errors import SourceError
from tasks.texts.config import TextsConfig
from tasks.texts.sources import read_source, resolve
def read(config):
    try:
        config = resolve(TextsConfig(source="org/corpus", **config))
        parts = (False, True) if config.held_out_apart else (False,)
        rows = [[item.row for item in read_source(config, held_out=part)] for part in parts]
        return {"digests": [config.source_digest, config.evaluation_digest], "rows": rows}
    except SourceError as error:
        return {"error": str(error)}
print(json.dumps([read(config) for config in json.loads(sys.argv[1])["configs"]]))
"""
CARD = b"""---
configs:
- config_name: main
  data_files:
  - split: train
    path: data/train.jsonl
  - split: test
    path: data/test.jsonl
---
"""


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    files = {"README.md": CARD, "data/train.jsonl": TEXT.encode(), "data/test.jsonl": "".join(LINES[:2]).encode()}
    with serve(Hub([Repository("org/corpus", files)])) as address:
        yield address


@pytest.mark.slow
def test_a_hub_dataset_is_read_at_a_commit_split_by_split(hub: str, tmp_path: Path) -> None:
    # In one process, whose start takes seconds.
    asked = [
        {"revision": "v1"},
        {"evaluation_split": "test"},
        {"evaluation_source": "org/corpus"},
        {"evaluation_split": "tset"},
    ]
    one, *two, wrong = ask(hub, tmp_path, READ, configs=asked)
    train = f"hub:{COMMIT}::train"
    assert one == {"digests": [train, ""], "rows": [ROWS]}
    assert two == [{"digests": [train, f"hub:{COMMIT}::test"], "rows": [ROWS, ROWS[:2]]}] * 2
    assert "has no subset '' with split 'tset'" in wrong["error"]


@pytest.mark.parametrize(
    ("source", "settings", "message"),
    [
        ("nowhere.jsonl", {}, "no file with texts at 'nowhere.jsonl'"),
        ("a.dat", {}, "cannot tell the format of 'a.dat' .*one of jsonl, json, csv, tsv, parquet, txt"),
        ("a.jsonl", {"evaluation_split": "test"}, "evaluation_split='test' is for a dataset of the hub"),
        ("a.jsonl", {"evaluation_source": "b.jsonl"}, r"no file with texts at 'b.jsonl'; did you mean 'a.jsonl'\?"),
    ],
)
def test_a_wrong_place_is_an_error_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, settings: dict[str, Any], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.jsonl").write_text(TEXT)
    (tmp_path / "a.dat").write_text(TEXT)
    with pytest.raises(SourceError, match=message):
        resolve(TextsConfig(source=source, **settings))


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"text_field": "body"}, "drop text_field, or set source"),
        ({"evaluation_source": "a.jsonl"}, "drop evaluation_source, or set source"),
        ({"source": "a.jsonl", "evaluation_source": "tiny"}, "source 'tiny' has its own fields"),
        ({"source": "a.jsonl", "text_field": ""}, "is not a path"),
        ({"source": "a.jsonl", "given_field": "a[b"}, "is not a path"),
        ({"source": "a.jsonl", "min_chars": 9, "max_chars": 8}, "min_chars=9 is above max_chars=8"),
        ({"source": "a.jsonl", "evaluation_documents": 0}, "evaluation_documents"),
        ({"tiny": {"evaluation": "train"}}, "tiny.evaluation"),
    ],
)
def test_contradictions_are_refused_at_once(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TextsConfig(**config)
