"""Documents as people really have them: each is read as it stands, rejected with its reason, or its source refused."""

import gzip
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.rejects import REJECTS_FILE
from tasks.shared.tables.parquet import read_rows
from tasks.texts.config import TextsConfig
from tasks.texts.load import build_texts
from tasks.texts.schema import EVALUATION_FILE, TRAIN_FILE
from tasks.texts.sources import resolve

WHOLE = {"one.txt": b"The first.", "two.txt": b"The second."}
WHOLE_TEXTS = {"The first.", "The second."}


def build(folder: Path, files: dict[str, bytes], **settings: Any) -> tuple[set[str], list[tuple[str, int, str]]]:
    """Documents, and rejects as file, line, reason."""
    for name, data in files.items():
        (folder / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "in" / name).write_bytes(data)
    config = TextsConfig(source=str(folder / "in"), evaluation_documents=1, max_rejected_share=0.9, **settings)
    build_texts(resolve(config), folder / "out", folder / "work")
    rows = [row for name in (TRAIN_FILE, EVALUATION_FILE) for row in read_rows(folder / "out" / name)]
    rejects = [(row["file"], row["line"], row["reason"]) for row in read_rows(folder / "out" / REJECTS_FILE)]
    return {row["text"] for row in rows}, rejects


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"\xef\xbb\xbf \n", "is empty"),
        (b"caf\xe9", "is not UTF-8 at byte 3"),
        ("A text.".encode("utf-16"), "file is UTF-16"),
        ("A text.".encode("utf-16-le"), "file is UTF-16"),
        (b"A text with a NUL: \0.", "holds a NUL character"),
        (b"N/A", "is a placeholder for a missing value"),
        (b"-\n", "is a placeholder for a missing value"),
        (b"<!DOCTYPE html><title>Log in", "file is a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:ab", "file is a git-lfs pointer"),
        (b"PK\x03\x04\x14\0", "file is a zip archive"),
        (b"%PDF-1.7", "file is a PDF file"),
    ],
)
def test_a_file_that_is_no_text_costs_no_other(tmp_path: Path, data: bytes, reason: str) -> None:
    texts, [(file, line, why)] = build(tmp_path, {**WHOLE, "deep/bad.txt": data})
    assert (texts, file, line) == (WHOLE_TEXTS, "deep/bad.txt", 1)
    assert reason in why


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"\xef\xbb\xbfA text.", "A text."),
        (b"A text.\r\nOf two lines.\r\n", "A text.\r\nOf two lines.\r\n"),
        ("\u2028A text\x85".encode(), "\u2028A text\x85"),
        ("e\u0301 is not \u00e9".encode(), "e\u0301 is not \u00e9"),
        (gzip.compress(b"A text.", mtime=0), "A text."),
        (b"ORC and BZhA and Rar! are words.", "ORC and BZhA and Rar! are words."),
        (b"PAR1 is a word.", "PAR1 is a word."),
    ],
)
def test_a_text_is_taken_as_it_stands(tmp_path: Path, data: bytes, text: str) -> None:
    assert build(tmp_path, {**WHOLE, "third.txt": data}) == ({*WHOLE_TEXTS, text}, [])


def test_lines_that_are_no_text_are_rejected_one_by_one(tmp_path: Path) -> None:
    lines = b"First.\r\n\r\nnan\r\nSecond.\r\n\xff\r\na\0b\r\nThird."
    texts, rejects = build(tmp_path, {"a.txt": lines}, format="lines")
    assert texts == {"First.", "Second.", "Third."}
    assert [line for _, line, _ in rejects] == [3, 5, 6]
    with pytest.raises(SourceError, match=r"b.txt: is a web page"):
        build(tmp_path, {"b.txt": b"<html>"}, format="lines")


def test_columns_of_bytes_are_texts_and_what_is_given_counts_too(tmp_path: Path) -> None:
    out = io.BytesIO()
    answers = [b"two", b"\xff", b"six", b"ten"]
    pq.write_table(pa.table({"q": ["one?", "three?", "nan", "nine?"], "text": answers}), out)
    texts, rejects = build(tmp_path, {"a.parquet": out.getvalue()}, given_field="q")
    assert texts == {"one?\ntwo", "nine?\nten"}
    assert [(line, reason[:14]) for _, line, reason in rejects] == [(2, "is not UTF-8 a"), (3, "is a placehold")]


def test_values_that_are_no_text_are_rejected(tmp_path: Path) -> None:
    values = ["A text.", "Another.", True, None, ["x"], {"x": 1}]
    lines = "".join(json.dumps({"text": value}) + "\n" for value in values)
    texts, rejects = build(tmp_path, {"a.jsonl": lines.encode() + b'{"text": "x", "text": "y"}\n'})
    assert texts == {"A text.", "Another."}
    reasons = ["is true, not text", "is null", "is a list", "is an object", "stands twice"]
    assert all(reason in why for (_, _, why), reason in zip(rejects, reasons, strict=True))


def test_a_folder_with_splits_says_which_are_trained_on_and_which_held_out(tmp_path: Path) -> None:
    files = {"train.jsonl": b'{"text": "a"}\n{"text": "b"}', "test.jsonl": b'{"text": "c"}'}
    with pytest.raises(SourceError, match=r"several splits \(test, train\)"):
        build(tmp_path, files)
    assert build(tmp_path, {}, split="train") == ({"a", "b"}, [])
    assert build(tmp_path, {}, split="train", evaluation_split="test") == ({"a", "b", "c"}, [])
    (tmp_path / "in" / "test.jsonl").unlink()
    with pytest.raises(SourceError, match=r"no file .* is of the split 'test'"):
        build(tmp_path, {}, split="train", evaluation_split="test")
