"""A question set as a file of one's own: never over its source, and over other files only when told to."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli.app import app
from tasks.errors import Permanent
from tasks.questions.config import QuestionsConfig
from tasks.questions.export import export
from tasks.questions.fields import FieldMapping
from tasks.shared.sources.errors import SourceError
from tasks.shared.tables.parquet import count_rows

FIELDS = FieldMapping(question="q", answer="a")
LINES = "".join(json.dumps({"q": f"question {n}", "a": n}) + "\n" for n in range(9))


def config(source: Path | str, **settings: object) -> QuestionsConfig:
    return QuestionsConfig.model_validate({"source": str(source), "fields": FIELDS, **settings})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "rows.jsonl").write_text(LINES + "{")
    return tmp_path


def files(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def test_a_set_is_written_with_its_rejects_beside_it(folder: Path) -> None:
    ledger = export(config(folder / "in"), folder / "new" / "mine.parquet")
    assert (ledger["kept"], ledger["rejected"]) == (9, 1)
    assert files(folder) == ["in/rows.jsonl", "new/mine.parquet", "new/mine.rejects.parquet"]
    assert count_rows(folder / "new" / "mine.parquet") == 9


def test_a_set_that_is_refused_leaves_no_file(folder: Path) -> None:
    with pytest.raises(SourceError, match="rejected"):
        export(config(folder / "in", max_rejected_share=0), folder / "no.parquet")
    assert files(folder) == ["in/rows.jsonl"]


def test_what_would_be_replaced_is_named_and_stays(folder: Path) -> None:
    out = folder / "mine.parquet"
    export(config(folder / "in"), out)
    rejects = out.with_suffix(".rejects.parquet")
    rejects.write_text("notes")
    before = out.read_bytes()
    with pytest.raises(SourceError, match=r"mine.parquet \(9 rows\) and .*\(5 bytes, no Parquet.*; give --replace"):
        export(config(folder / "in", limit=3), out)
    assert (out.read_bytes(), rejects.read_text()) == (before, "notes")
    export(config(folder / "in", limit=3), out, replace=True)
    assert (count_rows(out), count_rows(rejects)) == (3, 1)


@pytest.mark.parametrize("way", ["itself", "link to it", "hard link", "in its folder", "by its pattern", "its rejects"])
def test_a_source_is_never_written_over(folder: Path, way: str) -> None:
    data = folder / "in" / "set.parquet"
    export(config(folder / "in" / "rows.jsonl"), data)
    before = data.read_bytes()
    source, out = data, data
    if way == "link to it":
        out = folder / "link.parquet"
        out.symlink_to(data)
    elif way == "hard link":
        out = folder / "hard.parquet"
        os.link(data, out)
    elif way == "in its folder":
        source, out = folder / "in", folder / "in" / ".." / "in" / "new.parquet"
    elif way == "by its pattern":
        source, out = folder / "in" / "*.parquet", folder / "in" / "new.parquet"
    elif way == "its rejects":
        source, out = folder / "in" / "x.rejects.parquet", folder / "in" / "x.parquet"
        source.write_bytes(before)
    fields = FieldMapping(question="question", answer="answer")
    with pytest.raises(SourceError, match=r"out: .* is or would be part of the source"):
        export(config(source, fields=fields, format="parquet"), out, replace=True)
    assert data.read_bytes() == before


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("in", "is a folder; give a file, such as .*in/rows.parquet"),
        ("mine.csv", "mine.csv would hold Parquet; call it mine.parquet"),
        ("in/rows.jsonl/mine.parquet", "no file can be written in"),
    ],
)
def test_a_place_that_cannot_be_written_is_refused_before_anything_is_read(
    folder: Path, out: str, message: str
) -> None:
    with pytest.raises(Permanent, match=message):
        export(config("nowhere.jsonl"), folder / out)


def test_an_address_is_no_place_for_it() -> None:
    with pytest.raises(Permanent, match="is an address, and only files of this machine are written"):
        export(config("nowhere.jsonl"), Path("s3://bucket/mine.parquet"))


def test_fields_are_named_on_the_command_line_or_in_a_file_of_ones_own(folder: Path) -> None:
    (folder / "own.yaml").write_text("fields: {question: q, answer: a, answer_rule: {number: true}}\n")
    (folder / "wrong.yaml").write_text("fields: {question: q}\n")
    ways = {
        "pairs": ["--fields", "question=q,answer=a"],
        "json": ["--fields", '{"question": "q", "answer": "a", "answer_rule": {"number": true}}'],
        "file": ["--preset", str(folder / "own.yaml")],
    }
    for name, options in ways.items():
        out = folder / f"{name}.parquet"
        done = CliRunner().invoke(app, ["questions", str(folder / "in"), "--out", str(out), *options])
        assert done.exit_code == 0, done.output
        assert count_rows(out) == 9
    refused = CliRunner().invoke(
        app, ["questions", str(folder / "in"), "--out", "no.parquet", "--preset", str(folder / "wrong.yaml")]
    )
    assert "preset: wrong.yaml is none: fields.answer: Field required" in refused.output


def test_the_command_says_in_a_line_what_it_refuses(folder: Path) -> None:
    (folder / "in" / "gsm8k-test.jsonl").write_text('{"question": "one?", "answer": "#### 1"}\n{"question": "two?"}\n')
    (folder / "in" / "gsm8k-train.jsonl").write_text('{"question": "three?", "answer": "#### 3"}\n')
    command = ["questions", str(folder / "in"), "--preset", "gsm8k", "--out", str(folder / "mine.parquet")]
    splits = CliRunner().invoke(app, command)
    assert (splits.exit_code, len(splits.output.splitlines())) == (1, 1)
    assert "set split to one of them" in splits.output
    unknown = CliRunner().invoke(app, ["questions", str(folder / "in"), "--out", str(folder / "mine.parquet")])
    assert (unknown.exit_code, len(unknown.output.splitlines())) == (1, 1)
    assert unknown.output.startswith(f"Stopped: source '{folder / 'in'}' needs a schema: set preset (")
    few = CliRunner().invoke(app, [*command, "--split", "test"])
    assert (few.exit_code, "max_rejected_share is 0.2" in few.output) == (1, True)
    done = CliRunner().invoke(app, [*command, "--split", "test", "--max-rejected-share", "0.5"])
    assert done.exit_code == 0, done.output
    again = CliRunner().invoke(app, [*command, "--split", "train"])
    assert (again.exit_code, "(1 row)" in again.output) == (1, True)
    replaced = CliRunner().invoke(app, [*command, "--split", "train", "--replace"])
    assert replaced.exit_code == 0, replaced.output
