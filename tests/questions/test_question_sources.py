"""Where questions come from, and what identity they have."""

import gzip
import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest
from pydantic import ValidationError

from tasks.questions.config import QuestionsConfig, TinyOptions
from tasks.questions.fields import FieldMapping
from tasks.questions.presets import load_preset, preset_names
from tasks.questions.sources import read_source, resolve
from tasks.shared.sources.errors import Record, SourceError
from tasks.spine.store.fingerprint import fingerprint

PLAIN = FieldMapping(question="q", answer="a")
ROWS = [{"q": f"question {index}", "a": index} for index in range(20)]
TEXT = "".join(json.dumps(row) + "\n" for row in ROWS)


def key(**config: Any) -> str:
    return fingerprint("questions", 1, resolve(QuestionsConfig(**config)), {})


def rows_of(**config: Any) -> list[Any]:
    return [item.row for item in read_source(resolve(QuestionsConfig(**config))) if isinstance(item, Record)]


def test_a_moved_file_is_the_same_set_and_a_changed_one_is_not(tmp_path: Path) -> None:
    first, second = tmp_path / "a.jsonl", tmp_path / "deep" / "b.ndjson"
    second.parent.mkdir()
    first.write_text(TEXT)
    shutil.copy(first, second)
    before = key(source=str(first), fields=PLAIN)
    assert key(source=str(second), fields=PLAIN) == before
    second.write_text(TEXT.replace("question 7", "question seven"))
    assert key(source=str(second), fields=PLAIN) != before


def test_a_file_that_changes_before_it_was_read_is_never_taken_for_what_it_was(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(TEXT)
    config = resolve(QuestionsConfig(source=str(tmp_path / "a.jsonl"), fields=PLAIN))
    with (tmp_path / "a.jsonl").open("a") as file:
        file.write('{"q": "later", "a": 1}\n')
    with pytest.raises(SourceError, match=r"a.jsonl' changed while it was read; run again"):
        list(read_source(config))


def test_every_setting_that_changes_rows_is_identity(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(TEXT)
    base = {"source": str(tmp_path / "a.jsonl"), "fields": PLAIN}
    changes: list[dict[str, Any]] = [
        {},
        {"limit": 5},
        {"seed": 1},
        {"order": "shuffled"},
        {"name": "mine"},
        {"max_question_chars": 100},
        {"max_rejected_share": 0.5},
        {"fields": FieldMapping(question="q", answer="a", id="a")},
    ]
    assert len({key(**{**base, **change}) for change in changes}) == len(changes)


def test_a_preset_is_what_its_mapping_says(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(TEXT)
    source = str(tmp_path / "a.jsonl")
    mapping = load_preset("math500").fields
    assert key(source=source, preset="math500") == key(source=source, fields=mapping, name="math500")


def test_an_unread_source_has_no_identity() -> None:
    with pytest.raises(ValueError, match=r"call tasks.questions.sources.resolve\(config\) first"):
        fingerprint("questions", 1, QuestionsConfig(), {})


@pytest.mark.parametrize("zipped", [False, True])
def test_folders_and_globs_are_read_in_order_of_name(tmp_path: Path, zipped: bool) -> None:
    for part in range(4):
        text = "".join(json.dumps(row) + "\n" for row in ROWS[part * 5 : part * 5 + 5])
        path = tmp_path / f"part-{part}.jsonl{'.gz' if zipped else ''}"
        path.write_bytes(gzip.compress(text.encode()) if zipped else text.encode())
    (tmp_path / "README.md").write_text("not questions")
    assert rows_of(source=str(tmp_path), fields=PLAIN) == ROWS
    assert rows_of(source=str(tmp_path / "part-*"), fields=PLAIN) == ROWS


def test_any_fsspec_address_will_do(tmp_path: Path) -> None:
    with fsspec.open("memory://sets/rows.jsonl", "w") as file:
        file.write(TEXT)
    assert rows_of(source="memory://sets/rows.jsonl", fields=PLAIN) == ROWS
    (tmp_path / "rows.jsonl").write_text(TEXT)
    assert key(source="memory://sets/rows.jsonl", fields=PLAIN) == key(
        source=str(tmp_path / "rows.jsonl"), fields=PLAIN
    )


@pytest.fixture
def bucket(s3_endpoint: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_endpoint)
    files = fsspec.filesystem("s3", skip_instance_cache=True)
    files.mkdir("sets")
    files.pipe("sets/rows.jsonl.gz", gzip.compress(TEXT.encode()))
    type(files).clear_instance_cache()
    yield "s3://sets/rows.jsonl.gz"
    type(files).clear_instance_cache()


def test_s3_is_read_over_http(bucket: str) -> None:
    assert rows_of(source=bucket, fields=PLAIN) == ROWS
    with pytest.raises(SourceError, match=r"no file .*did you mean 'rows.jsonl.gz'\?"):
        resolve(QuestionsConfig(source=bucket.replace("rows", "row"), fields=PLAIN))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nowhere/rows.jsonl", "no file with questions at 'nowhere/rows.jsonl'"),
        ("rows.jsonl", r"did you mean 'row.jsonl'\?"),
        ("notes.txt", "cannot tell the format"),
        ("just-a-word", "no file with questions"),
    ],
)
def test_a_wrong_path_is_an_error_with_the_fix(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "row.jsonl").write_text(TEXT)
    (tmp_path / "notes.txt").write_text(TEXT)
    with pytest.raises(SourceError, match=message):
        resolve(QuestionsConfig(source=source, fields=PLAIN))
    assert rows_of(source="notes.txt", fields=PLAIN, format="jsonl") == ROWS


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"source": "a.jsonl", "preset": "gsm9k"}, r"unknown value 'gsm9k'; did you mean 'gsm8k'\?"),
        ({"source": "a.jsonl"}, "needs a schema: set preset"),
        ({"source": "a.jsonl", "preset": "gsm8k", "fields": PLAIN}, "not both"),
        ({"source": "tiny", "preset": "gsm8k"}, "has its own schema"),
        ({"source": "hub"}, "set preset"),
        ({"limit": 0}, "limit"),
    ],
)
def test_contradictions_are_refused_at_once(config: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        QuestionsConfig(**config)


def test_an_unreachable_hub_is_an_error_that_names_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{closed.getsockname()[1]}")
        with pytest.raises(SourceError, match=r"'openai/gsm8k' could not be fetched .* give their path as source"):
            resolve(QuestionsConfig(source="hub", preset="gsm8k"))


def test_a_pinned_commit_needs_no_network_to_be_an_identity() -> None:
    commit = "0123456789abcdef" * 2 + "01234567"
    home = resolve(QuestionsConfig(source="hub", preset="gsm8k", revision=commit))
    assert (home.source, home.subset, home.split) == ("openai/gsm8k", "main", "train")
    named = QuestionsConfig(source="openai/gsm8k", preset="gsm8k", revision=commit)
    assert resolve(named).source_digest == home.source_digest == f"hub:{commit}:main:train"
    assert resolve(QuestionsConfig(source="hub", preset="gsm8k", revision=commit, split="test")) != home


def test_tiny_identity_is_its_problems() -> None:
    keys = {
        key(tiny=TinyOptions(split=split, count=count, seed=seed))
        for split, count, seed in [("seed", 20, 0), ("rl", 20, 0), ("seed", 21, 0), ("seed", 20, 1)]
    }
    assert len(keys) == 4


def test_every_preset_file_is_valid() -> None:
    assert {"gsm8k", "math500", "aime24", "amc23", "minerva_math", "olympiadbench", "svamp", "dapo-math-17k"} <= {
        *preset_names()
    }
    for name in preset_names():
        assert load_preset(name).description


def test_a_hub_schema_of_its_own_applies_at_home_only(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text(TEXT)
    for source in ("hub", "math-ai/minervamath"):
        assert QuestionsConfig(source=source, preset="minerva_math").mapping().answer == "answer"
    assert QuestionsConfig(source=str(tmp_path / "a.jsonl"), preset="minerva_math").mapping().answer == "solution"
