"""Which files a source names: what exists is taken literally, folders are read whole, no file is lost."""

import os
import unicodedata
from contextlib import chdir
from pathlib import Path

import pytest

from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.files import SourceFiles
from tasks.shared.sources.places import split_of

CAFE = unicodedata.normalize("NFC", "café.jsonl")


def named(folder: Path, files: list[str], source: str, **settings: str) -> list[str]:
    """Files that a source names, from a folder with these; `a -> b` makes the link a."""
    for name in files:
        link, _, target = name.partition(" -> ")
        (folder / link).parent.mkdir(parents=True, exist_ok=True)
        if target:
            (folder / link).symlink_to(target)
        elif name.endswith("/"):
            (folder / name).mkdir(parents=True)
        else:
            (folder / name).write_text("")
    with chdir(folder):
        found = SourceFiles(source, "questions", "'tiny'", **settings)  # type: ignore[arg-type]
    return [path.removeprefix(f"{folder}/") for path in found.paths]


@pytest.mark.parametrize(
    ("files", "source", "found"),
    [
        (["math[v2]/train.jsonl"], "math[v2]/train.jsonl", ["math[v2]/train.jsonl"]),
        (["math[v2]/train.jsonl", "math2/a.jsonl"], "math[v2]", ["math[v2]/train.jsonl"]),
        (["math[v2]/a.jsonl", "math2/b.jsonl", "mathv/c.jsonl"], "math[v2]/*.jsonl", ["math[v2]/a.jsonl"]),
        (["a[1].jsonl", "a1.jsonl"], "a[1].jsonl", ["a[1].jsonl"]),
        (["a1.jsonl", "a2.jsonl", "a3.jsonl"], "a[12].jsonl", ["a1.jsonl", "a2.jsonl"]),
        (["a*.jsonl", "ab.jsonl"], "a*.jsonl", ["a*.jsonl"]),
        (["what?.jsonl", "whats.jsonl"], "what?.jsonl", ["what?.jsonl"]),
        (["my data/the file.jsonl"], "my data/the file.jsonl", ["my data/the file.jsonl"]),
        (["a::b.jsonl"], "a::b.jsonl", ["a::b.jsonl"]),
        (["a%20b.jsonl"], "a%20b.jsonl", ["a%20b.jsonl"]),
        (["a\nb.jsonl"], "a\nb.jsonl", ["a\nb.jsonl"]),
        (["a\\b.jsonl"], "a\\b.jsonl", ["a\\b.jsonl"]),
        ([unicodedata.normalize("NFD", CAFE)], CAFE, [unicodedata.normalize("NFD", CAFE)]),
        ([CAFE], unicodedata.normalize("NFD", CAFE), [CAFE]),
        (["e\u0301/a.jsonl", "e\u0301/README.md"], "\u00e9", ["e\u0301/a.jsonl"]),
        (["d/a.jsonl"], "d/", ["d/a.jsonl"]),
        (["d/a.jsonl"], "d/../d/a.jsonl", ["d/a.jsonl"]),
        (["a.jsonl"], ".", ["a.jsonl"]),
        (["d.jsonl/part-0.jsonl"], "d.jsonl", ["d.jsonl/part-0.jsonl"]),
        (["d/a.jsonl", "d/README.md", "d/e/b.jsonl"], "d", ["d/a.jsonl", "d/e/b.jsonl"]),
        (["d/a.jsonl", "d/.cache/b.jsonl", "d/.c.jsonl", "d/._a.jsonl"], "d", ["d/a.jsonl"]),
        (["d/a.jsonl", "d/.cache/b.jsonl", "d/.c.jsonl"], "d/**/*.jsonl", ["d/a.jsonl"]),
        (["d/a.jsonl", "d/.c.jsonl"], "d/.*.jsonl", ["d/.c.jsonl"]),
        ([".d/a.jsonl"], ".d", [".d/a.jsonl"]),
        (["d/.c.jsonl"], "d/.c.jsonl", ["d/.c.jsonl"]),
        (["x/a.jsonl", "b.jsonl -> x/a.jsonl"], "b.jsonl", ["b.jsonl"]),
        (["x/a.jsonl", "d/s -> ../x"], "d", ["d/s/a.jsonl"]),
        (["d/a.jsonl", "d/e/b.jsonl", "d/e/up -> .."], "d", ["d/a.jsonl", "d/e/b.jsonl"]),
        (["d/train-1.jsonl", "d/train-2.jsonl"], "d", ["d/train-1.jsonl", "d/train-2.jsonl"]),
        (["d/train.jsonl", "d/test.jsonl"], "d/**", ["d/test.jsonl", "d/train.jsonl"]),
        (
            ["d/part-00000-of-00002.jsonl", "d/part-00001-of-00002.jsonl"],
            "d/*-00000-*",
            ["d/part-00000-of-00002.jsonl"],
        ),
    ],
)
def test_a_source_names_files(tmp_path: Path, files: list[str], source: str, found: list[str]) -> None:
    assert named(tmp_path, files, source) == found


@pytest.mark.parametrize(
    ("files", "source", "message"),
    [
        (["a.jsonl"], "b*.jsonl", "no file with questions at 'b.*did you mean 'a.jsonl'"),
        (["a.jsonl"], "", "source: it is empty"),
        (["a.jsonl"], "a\0.jsonl", "no file with questions at"),
        (["a.jsonl"], "a" * 5_000, "no file with questions at"),
        (["a.jsonl"], "~nobody-of-this-name/a.jsonl", "no file with questions at"),
        (["d/"], "d", "a folder of which no file ends in .jsonl"),
        (["d/README.md"], "d", "a folder of which no file ends in .jsonl"),
        (["part-1/a.jsonl", "part-2.jsonl"], "part-*", "matches the folder .*part-1', but not the files in it"),
        (["b.jsonl -> nowhere"], "b.jsonl", "no file with questions at 'b.jsonl'. Give"),
        (["d/a.jsonl", "d/a.csv"], "d", r"several formats \(csv, jsonl\); set format"),
        (["a.xlsx"], "a.xlsx", "its name tells none; set format"),
        ([], "s3://", "'s3://' is no address that can be read"),
        ([], "/dev/zero", "/dev/zero' is no regular file"),
        (["d/train.jsonl", "d/test.jsonl"], "d", r"several splits \(test, train\); set split to one"),
        (["d/train/part-0.jsonl", "d/dev/part-0.jsonl"], "d", r"several splits \(dev, train\)"),
        (["d/train001.jsonl", "d/test2.jsonl"], "d", r"several splits \(test, train\)"),
        (["d/train.jsonl", "d/held_out.jsonl"], "d", r"several splits \(held_out, train\)"),
        (["d/train.jsonl", "d/extra.jsonl"], "d", r"belong to the split train, and 'extra.jsonl' to none; set split"),
        (["d/sft-00000-of-00001.jsonl", "d/dpo-00000-of-00001.jsonl"], "d", r"several splits \(dpo, sft\)"),
    ],
)
def test_what_names_none_or_too_many_is_refused_in_one_line(
    tmp_path: Path, files: list[str], source: str, message: str
) -> None:
    with pytest.raises(SourceError, match=message) as caught:
        named(tmp_path, files, source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("source", ["ftp://127.0.0.1:9/a.jsonl", "/proc/self/mem"])
def test_what_the_system_or_a_server_refuses_is_told_with_the_source(source: str) -> None:
    with pytest.raises((OSError, SourceError), match=rf"source: '{source}' c(ould not|annot) be read"):
        SourceFiles(source, "questions", "'tiny'", format="jsonl").digest()


def test_what_is_no_file_is_refused_before_it_is_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.jsonl")
    with pytest.raises(SourceError, match=r"pipe.jsonl' is no regular file"):
        named(tmp_path, [], "pipe.jsonl")


def test_a_link_that_leads_nowhere_is_said_and_not_passed_over(tmp_path: Path) -> None:
    assert named(tmp_path, ["d/a.jsonl", "d/b.jsonl -> nowhere"], "d") == ["d/a.jsonl", "d/b.jsonl"]
    with pytest.raises(SourceError, match=r"d' cannot be read .*b.jsonl"):
        SourceFiles(str(tmp_path / "d"), "questions", "'tiny'").digest()


def test_names_in_other_encodings_are_read_and_shown(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jsonl")
    assert named(tmp_path, [f"d/{name}"], "d") == [f"d/{name}"]
    (tmp_path / "d" / name).write_text("[]")
    files = SourceFiles(str(tmp_path / "d" / name), "questions", "'tiny'")
    assert [item.file for item in files.read(files.digest())] == [r"caf\xe9.jsonl"]


SPLITS = ["d/data/train-00000-of-00002.jsonl", "d/data/train-00001-of-00002.jsonl", "d/test.jsonl", "d/extra.jsonl"]


def test_a_split_takes_its_files_of_a_folder(tmp_path: Path) -> None:
    assert named(tmp_path, SPLITS, "d", split="train") == SPLITS[:2]
    assert named(tmp_path, [], "d", split="test") == ["d/test.jsonl"]
    assert named(tmp_path, [], "d/**/*.jsonl", split="test") == ["d/test.jsonl"]
    assert named(tmp_path, [], "d/extra.jsonl", split="test") == ["d/extra.jsonl"]
    assert named(tmp_path, [], "d/extra*", split="test") == ["d/extra.jsonl"]
    with pytest.raises(SourceError, match=r"of the split 'tets'; did you mean 'test'\? Their names tell: test, train"):
        named(tmp_path, [], "d", split="tets")


def test_a_format_takes_its_files_of_a_folder(tmp_path: Path) -> None:
    assert named(tmp_path, ["d/a.jsonl", "d/a.csv", "d/b.csv.gz"], "d", format="csv") == ["d/a.csv", "d/b.csv.gz"]
    assert named(tmp_path, ["e/a.jsonl"], "e", format="json") == ["e/a.jsonl"]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train.jsonl", "train"),
        ("gsm8k_test.csv", "test"),
        ("validation/part-0.jsonl", "validation"),
        ("train/part-00000-of-00002.jsonl", "train"),
        ("train_sft-00000-of-00001.parquet", "train_sft"),
        ("c4-train.00000-of-01024.json.gz", "c4-train"),
        ("contest.jsonl", ""),
        ("latest/device.jsonl", ""),
        ("part-0.jsonl", ""),
    ],
)
def test_names_tell_splits(name: str, split: str) -> None:
    assert split_of(name) == split
