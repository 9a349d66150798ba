"""The stage's work on whole corpora: every row accounted for, nothing cut, splits that hold still."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.rejects import REJECTS, REJECTS_FILE
from tasks.shared.tables.parquet import Weight, read_groups, read_rows, write_parquet
from tasks.texts import load as loading
from tasks.texts.config import TextsConfig
from tasks.texts.load import TextIntake, build_texts
from tasks.texts.rows import document_id
from tasks.texts.schema import EVALUATION_FILE, SOURCES, TEXTS, TRAIN_FILE
from tasks.texts.sources import resolve
from tests.support.tables import check_schema

Rows = list[dict[str, Any]]


def load(folder: Path, **config: Any) -> tuple[TextIntake, Rows, Rows, Rows]:
    """Counts, training documents, held-out documents, rejects."""
    counts = build_texts(resolve(TextsConfig(**config)), folder / "out", folder / "work")
    assert list((folder / "work").glob("*")) == []
    tables = []
    for name, schema in ((TRAIN_FILE, TEXTS), (EVALUATION_FILE, TEXTS), (REJECTS_FILE, REJECTS)):
        check_schema(folder / "out" / name, schema)
        tables.append(list(read_rows(folder / "out" / name)))
    train, evaluation, rejects = tables
    ledger = counts.ledger()
    assert (len(train), len(evaluation), len(rejects)) == (ledger["train"], ledger["evaluation"], ledger["rejected"])
    for rows in (train, evaluation):
        ids = [row["document_id"] for row in rows]
        assert ids == sorted(set(ids))
        assert ids == [document_id(row["text"], row["given_chars"]) for row in rows]
    assert not {row["document_id"] for row in train} & {row["document_id"] for row in evaluation}
    return counts, train, evaluation, rejects


def written(path: Path, rows: Sequence[Any]) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


def numbered(count: int) -> Rows:
    return [{"text": f"document {index}"} for index in range(count)]


def texts_of(rows: Rows) -> set[str]:
    return {row["text"] for row in rows}


def test_a_solution_corpus_has_its_questions_given(shared_data: Path, tmp_path: Path) -> None:
    source = shared_data / "gsm8k" / "train.jsonl"
    counts, train, evaluation, _ = load(
        tmp_path, source=str(source), text_field="answer", given_field="question", name="gsm8k"
    )
    assert counts.ledger() == {
        "read": 7_473,
        "train": 7_273,
        "evaluation": 200,
        "duplicates": 0,
        "rejected": 0,
        "beyond_limit": 0,
    }
    published = [json.loads(line) for line in source.read_text().splitlines()]
    wanted = {(row["question"] + "\n", row["answer"]) for row in published}
    assert {
        (row["text"][: row["given_chars"]], row["text"][row["given_chars"] :]) for row in train + evaluation
    } == wanted
    assert {row["source"] for row in train} == {"gsm8k"}


def test_a_file_of_its_own_holds_the_evaluation(shared_data: Path, tmp_path: Path) -> None:
    folder = shared_data / "gsm8k"
    settings = {"source": str(folder / "train.jsonl"), "evaluation_source": str(folder / "test.jsonl")}
    counts, train, evaluation, _ = load(tmp_path, **settings, text_field="answer", given_field="question")
    assert (len(train), len(evaluation), counts.beyond_limit) == (7_473, 200, 1_119)


def test_messy_rows_are_listed_with_place_field_and_reason(tmp_path: Path) -> None:
    good = [{"a": f"text {index}\n ", "q": f"question {index}"} for index in range(9)]
    rows = [
        *good,
        '{"a": "torn',
        {"q": "no text"},
        {"q": "x", "a": "   \n"},
        {"q": ["x"], "a": "y"},
        {"q": "x", "a": None},
        {"q": "x", "a": "half \ud800"},
        {"q": "long", "a": "x" * 100},
        {"a": "no question"},
        good[3],
        {"q": "", "a": "nothing given".ljust(99) + "!"},
    ]
    counts, train, evaluation, rejects = load(
        tmp_path,
        source=written(tmp_path / "mess.jsonl", rows),
        text_field="a",
        given_field="q",
        joiner=" -> ",
        evaluation_documents=2,
        max_chars=100,
        max_rejected_share=0.9,
    )
    assert counts.ledger() == {
        "read": 19,
        "train": 8,
        "evaluation": 2,
        "duplicates": 1,
        "rejected": 8,
        "beyond_limit": 0,
    }
    kept = {row["text"]: row["given_chars"] for row in train + evaluation}
    assert kept == {**{f"{row['q']} -> {row['a']}": 14 for row in good}, "nothing given".ljust(99) + "!": 0}
    assert [(reject["line"], reject["field"], reject["reason"]) for reject in rejects[1:]] == [
        (11, "a", "is missing"),
        (12, "a", "is empty"),
        (13, "q", "is a list, not text or a number; map a field inside it"),
        (14, "a", "is null"),
        (15, "a", "holds half of a surrogate pair, which is not text"),
        (16, "a", "makes a document of 108 characters, more than max_chars"),
        (17, "q", "is missing"),
    ]
    assert rejects[0]["reason"].startswith("malformed JSON")
    assert rejects[0]["file"] == "mess.jsonl"
    [duplicate] = counts.summary()["duplicates"]
    assert (duplicate["line"], duplicate["first_line"]) == (18, 4)


def test_the_split_goes_by_documents_and_not_by_their_places(tmp_path: Path) -> None:
    rows = numbered(300)
    forward = load(tmp_path, source=written(tmp_path / "a.jsonl", rows), evaluation_documents=40)
    backward = load(tmp_path, source=written(tmp_path / "b.jsonl", rows[::-1] + rows[:5]), evaluation_documents=40)
    assert forward[1:3] == backward[1:3]
    assert backward[0].duplicates == 5
    other = load(tmp_path, source=str(tmp_path / "a.jsonl"), evaluation_documents=40, seed=1)
    assert texts_of(other[2]) != texts_of(forward[2])
    fewer = load(tmp_path, source=str(tmp_path / "a.jsonl"), evaluation_documents=10)
    assert texts_of(fewer[2]) < texts_of(forward[2])


def test_a_smaller_limit_is_a_subset_with_the_same_evaluation(tmp_path: Path) -> None:
    source = written(tmp_path / "a.jsonl", numbered(300))
    found = [load(tmp_path, source=source, evaluation_documents=40, limit=limit) for limit in (10, 60, 260, 999, None)]
    assert [counts.beyond_limit for counts, *_ in found] == [250, 200, 0, 0, 0]
    sets = [texts_of(train) for _, train, _, _ in found]
    assert sets[0] < sets[1] < sets[2] == sets[3] == sets[4]
    assert len({frozenset(texts_of(evaluation)) for _, _, evaluation, _ in found}) == 1


def test_a_document_that_is_held_out_anywhere_is_not_trained_on(tmp_path: Path) -> None:
    source = written(tmp_path / "a.jsonl", numbered(20))
    apart = written(tmp_path / "b.jsonl", [*numbered(5), {"text": "only here"}])
    counts, train, evaluation, _ = load(tmp_path, source=source, evaluation_source=apart)
    assert texts_of(evaluation) == {"only here", *(f"document {index}" for index in range(5))}
    assert texts_of(train) == {f"document {index}" for index in range(5, 20)}
    assert counts.duplicates == 5
    with pytest.raises(SourceError, match="none is left for training, all stand among the held-out"):
        load(tmp_path, source=apart, evaluation_source=apart)


def test_the_embedded_world_keeps_its_notes_and_its_splits(tmp_path: Path) -> None:
    counts, train, evaluation, _ = load(tmp_path, tiny={"count": 60}, evaluation_documents=12)
    assert (counts.train, counts.evaluation) == (60, 12)
    assert {row["source"] for row in train} == {"tiny"}
    told = [list(read_rows(tmp_path / "out" / at.path, [at.id_column, at.text_column])) for at in SOURCES]
    assert sum(map(len, told)) == 72, "what the manifest says of where documents stand"
    for row in train:
        assert set(json.loads(row["meta"])) == {"family", "style"}
        assert row["text"][: row["given_chars"]].endswith("A:")
    _, same, ood, _ = load(tmp_path, tiny={"count": 60, "evaluation": "ood"}, evaluation_documents=12)
    assert same == train
    families = [{json.loads(row["meta"])["family"] for row in rows} for rows in (train, evaluation, ood)]
    assert families[1] <= families[0]
    assert not families[2] & families[0]


def test_long_documents_are_sorted_in_bounded_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same tables whatever the bound; row groups hold no more than theirs and one document."""
    rows = [{"text": f"{index} " + "word " * (index % 90)} for index in range(400)]
    source = written(tmp_path / "a.jsonl", rows)
    whole = load(tmp_path / "whole", source=source, evaluation_documents=30)
    group = Weight(lambda row: len(row["text"]), 4_000)
    monkeypatch.setattr(loading, "GROUP", group)
    monkeypatch.setattr(loading, "_RUN", Weight(group.of, 20_000))
    parted = load(tmp_path / "parted", source=source, evaluation_documents=30)
    assert parted[1:] == whole[1:]
    groups = [table.num_rows for table in read_groups(tmp_path / "parted" / "out" / TRAIN_FILE, TEXTS)]
    assert len(groups) > 10


@pytest.mark.parametrize("zipped", [False, True])
def test_plain_text_is_a_document_a_file_or_a_document_a_line(tmp_path: Path, zipped: bool) -> None:
    for index in range(4):
        data = f"\ufeffFirst of {index}.\n\n  Second of {index}.\n".encode()
        name = tmp_path / "corpus" / f"{index}.txt{'.gz' if zipped else ''}"
        name.parent.mkdir(exist_ok=True)
        name.write_bytes(gzip.compress(data) if zipped else data)
    (tmp_path / "corpus" / f"bad.txt{'.gz' if zipped else ''}").write_bytes(b"caf\xe9\n")
    source = str(tmp_path / "corpus")
    _, train, evaluation, rejects = load(tmp_path, source=source, evaluation_documents=1)
    assert texts_of(train + evaluation) == {f"First of {index}.\n\n  Second of {index}.\n" for index in range(4)}
    assert [(reject["line"], reject["reason"][:24]) for reject in rejects] == [(1, "is not UTF-8 at byte 3: ")]
    _, train, evaluation, rejects = load(tmp_path, source=source, format="lines", evaluation_documents=1)
    wanted = {text for index in range(4) for text in (f"First of {index}.", f"  Second of {index}.")}
    assert texts_of(train + evaluation) == wanted
    assert len(rejects) == 1


def test_a_text_file_too_large_to_hold_is_listed_and_not_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tasks.texts.plain.MAX_ROW_BYTES", 50)
    for index, size in enumerate((10, 50, 51)):
        (tmp_path / f"{index}.txt").write_text(f"{index}" * size)
    _, train, evaluation, [reject] = load(
        tmp_path, source=str(tmp_path / "*.txt"), evaluation_documents=1, max_rejected_share=0.5
    )
    assert texts_of(train + evaluation) == {"0" * 10, "1" * 50}
    assert (reject["file"], reject["reason"][:28]) == ("2.txt", "file is longer than 50 bytes")


def test_parquet_and_csv_and_nested_fields(tmp_path: Path) -> None:
    nested = pa.schema([("doc", pa.struct([("body", pa.string())])), ("kind", pa.string())])
    write_parquet(({"doc": {"body": f"text {n}"}, "kind": "a"} for n in range(9)), tmp_path / "a.parquet", nested)
    _, train, _, _ = load(
        tmp_path,
        source=str(tmp_path / "a.parquet"),
        text_field="doc.body",
        meta={"kind": "kind"},
        evaluation_documents=2,
    )
    assert {row["meta"] for row in train} == {'{"kind": "a"}'}
    (tmp_path / "a.csv").write_text("text,n\n" + "".join(f'"text, {n}\n",{n}\n' for n in range(9)))
    _, train, evaluation, _ = load(tmp_path, source=str(tmp_path / "a.csv"), evaluation_documents=2)
    assert texts_of(train + evaluation) == {f"text, {n}\n" for n in range(9)}


@pytest.mark.parametrize(
    ("rows", "settings", "message"),
    [
        ([], {}, "holds no rows"),
        (numbered(5), {"evaluation_documents": 5}, "evaluation_documents=5 takes all of the 5 usable documents"),
        (
            [{"body": "x", "n": 1}] * 3,
            {"text_field": "bodi"},
            r"text_field: no row .* has 'bodi'; did you mean 'body'\?.*Give text_field as one of these",
        ),
        (
            [{"text": "x"}] * 3,
            {"given_field": "question"},
            r"given_field: no row .* has 'question'. The rows have: text",
        ),
        ([{"text": "x"}, {"text": ""}], {}, r"1 of 2 rows .* rejected.*line 2: text is empty"),
    ],
)
def test_a_source_that_cannot_be_used_is_an_error_with_the_fix(
    tmp_path: Path, rows: Rows, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(SourceError, match=message):
        load(tmp_path, source=written(tmp_path / "a.jsonl", rows), **settings)
