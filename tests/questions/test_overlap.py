"""Contamination is found, reported with its evidence, and kept out of training sets."""

from pathlib import Path

import pytest

from tasks.questions.overlap import BenchmarkIndex, OverlapConfig, decontaminate, words
from tasks.questions.rows import question_id
from tasks.questions.schema import OVERLAPS_FILE, QUESTIONS, QUESTIONS_FILE
from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.rejects import REJECTS, REJECTS_FILE
from tasks.shared.tables.parquet import read_rows, write_parquet

ASKED = "Ann walks to the market at noon with 14 coins and buys 3 red apples for 2 coins each."


def folder(path: Path, questions: list[str]) -> Path:
    rows = [{"id": question_id(q), "question": q, "answer": "1", "source": "s", "meta": "{}"} for q in questions]
    write_parquet(sorted(rows, key=lambda row: row["id"]), path / QUESTIONS_FILE, QUESTIONS)
    write_parquet([], path / REJECTS_FILE, REJECTS)
    return path


@pytest.mark.parametrize(
    ("question", "kind"),
    [
        (ASKED, "exact"),
        (ASKED.upper().replace(",", " ,"), "exact"),
        (f"A story. {ASKED} How many coins are left?", "ngram"),
        (ASKED.replace("14 coins", "15 coins").replace("2 coins", "4 coins"), None),
        ("Short one?", None),
    ],
)
def test_shared_text_flags_and_other_numbers_do_not(question: str, kind: str | None) -> None:
    index = BenchmarkIndex(ngram_words=13)
    index.add("bench", "b1", ASKED)
    found = index.find("q1", question)
    assert (found.kind if found else None) == kind
    if found:
        assert (found.benchmark, found.benchmark_id) == ("bench", "b1")
        assert "14 coins" in " ".join(words(found.evidence))


def test_short_questions_overlap_only_as_a_whole() -> None:
    index = BenchmarkIndex(ngram_words=13)
    index.add("bench", "b1", "What is 1 + 1?")
    assert index.find("q", "what is 1+1")
    assert not index.find("q", "What is 1 + 1 + 1?")


@pytest.mark.parametrize("exclude", [True, False])
def test_flagged_questions_are_listed_and_left_out(tmp_path: Path, exclude: bool) -> None:
    clean = [f"How many legs have {count} cats?" for count in range(2, 30)]
    training = folder(tmp_path / "train", [*clean, ASKED, f"Well. {ASKED}"])
    bench = {"b": folder(tmp_path / "b", [ASKED]), "a": folder(tmp_path / "a", ["Something else?"])}
    ledger = decontaminate(OverlapConfig(exclude=exclude), training, bench, tmp_path / "out")
    kept = {row["question"] for row in read_rows(tmp_path / "out" / QUESTIONS_FILE)}
    rejects = list(read_rows(tmp_path / "out" / REJECTS_FILE))
    overlaps = list(read_rows(tmp_path / "out" / OVERLAPS_FILE))
    assert {row["kind"] for row in overlaps} == {"exact", "ngram"}
    assert {row["benchmark"] for row in overlaps} == {"b"}
    if exclude:
        assert ledger == {"read": 30, "kept": 28, "overlapping": 2}
        assert kept == set(clean)
        assert {row["value"] for row in rejects} == {row["question_id"] for row in overlaps}
        assert all("overlap with b question" in row["reason"] for row in rejects)
    else:
        assert ledger == {"read": 30, "kept": 30, "overlapping": 0}
        assert rejects == []


def test_gsm8k_train_and_test_hardly_overlap(shared_data: Path, tmp_path: Path) -> None:
    from tasks.questions.config import QuestionsConfig
    from tasks.questions.load import build_questions
    from tasks.questions.sources import resolve

    for split in ("train", "test"):
        config = QuestionsConfig(source=str(shared_data / "gsm8k" / f"{split}.jsonl"), preset="gsm8k")
        build_questions(resolve(config), tmp_path / split, tmp_path / "work")
    ledger = decontaminate(OverlapConfig(), tmp_path / "train", {"test": tmp_path / "test"}, tmp_path / "out")
    assert ledger["read"] == 7_473 == ledger["kept"] + ledger["overlapping"]
    assert 0 < ledger["overlapping"] < 150
    with pytest.raises(SourceError, match="all 1319 overlap with again"):
        decontaminate(OverlapConfig(), tmp_path / "test", {"again": tmp_path / "test"}, tmp_path / "none")
