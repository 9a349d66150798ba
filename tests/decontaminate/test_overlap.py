"""Contamination is found, reported with its evidence, and kept out of training sets."""

from pathlib import Path

import pytest

from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.overlap import BenchmarkIndex, leave_out, words
from tasks.decontaminate.schema import OVERLAPS_FILE
from tasks.questions.rows import question_id
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
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
    overlaps = index.find("q1", question)
    assert [found.kind for found in overlaps] == ([kind] if kind else [])
    for found in overlaps:
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
    ledger, shared = leave_out(DecontaminateConfig(exclude=exclude), training, bench, tmp_path / "out")
    kept = {row["question"] for row in read_rows(tmp_path / "out" / QUESTIONS_FILE)}
    rejects = list(read_rows(tmp_path / "out" / REJECTS_FILE))
    overlaps = list(read_rows(tmp_path / "out" / OVERLAPS_FILE))
    assert {row["kind"] for row in overlaps} == {"exact", "ngram"}
    assert {row["benchmark"] for row in overlaps} == {"b"}
    assert shared == {"a": 0, "b": 1}
    if exclude:
        assert ledger == {"read": 30, "kept": 28, "overlapping": 2}
        assert kept == set(clean)
        assert [row["value"] for row in rejects] == sorted({row["question_id"] for row in overlaps})
        assert all("overlap with b question" in row["reason"] for row in rejects)
    else:
        assert ledger == {"read": 30, "kept": 30, "overlapping": 0}
        assert rejects == []
        assert (tmp_path / "out" / QUESTIONS_FILE).read_bytes() == (training / QUESTIONS_FILE).read_bytes()


def test_every_benchmark_question_that_shares_text_is_listed(tmp_path: Path) -> None:
    training = folder(tmp_path / "train", ["Another question?", ASKED])
    bench = {"b": folder(tmp_path / "b", [ASKED, f"{ASKED} How many coins are left?", f"{ASKED} Why?", "Else?"])}
    ledger, shared = leave_out(DecontaminateConfig(), training, bench, tmp_path / "out")
    assert (ledger["overlapping"], shared) == (1, {"b": 3})
    kinds = [row["kind"] for row in read_rows(tmp_path / "out" / OVERLAPS_FILE)]
    assert sorted(kinds) == ["exact", "ngram", "ngram"]


def test_gsm8k_train_and_test_hardly_overlap(shared_data: Path, tmp_path: Path) -> None:
    from tasks.questions.config import QuestionsConfig
    from tasks.questions.load import build_questions
    from tasks.questions.sources import resolve

    for split in ("train", "test"):
        config = QuestionsConfig(source=str(shared_data / "gsm8k" / f"{split}.jsonl"), preset="gsm8k")
        build_questions(resolve(config), tmp_path / split, tmp_path / "work")
    ledger, _ = leave_out(DecontaminateConfig(), tmp_path / "train", {"test": tmp_path / "test"}, tmp_path / "out")
    assert ledger["read"] == 7_473 == ledger["kept"] + ledger["overlapping"]
    assert 0 < ledger["overlapping"] < 150
    with pytest.raises(SourceError, match="all 1319 overlap with again"):
        leave_out(DecontaminateConfig(), tmp_path / "test", {"again": tmp_path / "test"}, tmp_path / "none")
