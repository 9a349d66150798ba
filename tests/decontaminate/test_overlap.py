"""Contamination is found, reported with its evidence, and kept out of training sets."""

from pathlib import Path

import pytest

from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.overlap import TRAINED_QUESTIONS, TRAINED_TEXTS, BenchmarkIndex, leave_out, words
from tasks.decontaminate.schema import OVERLAPS_FILE
from tasks.questions.rows import question_id
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.rejects import REJECTS, REJECTS_FILE
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.texts.schema import EVALUATION_FILE, TEXTS, TRAIN_FILE
from tests.support.corpus import document_row

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
    ledger, shared, _ = leave_out(
        DecontaminateConfig(exclude=exclude), TRAINED_QUESTIONS, training, bench, tmp_path / "out"
    )
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
    ledger, shared, _ = leave_out(DecontaminateConfig(), TRAINED_QUESTIONS, training, bench, tmp_path / "out")
    assert (ledger["overlapping"], shared) == (1, {"b": 3})
    kinds = [row["kind"] for row in read_rows(tmp_path / "out" / OVERLAPS_FILE)]
    assert sorted(kinds) == ["exact", "ngram", "ngram"]


def corpus(path: Path, train: list[tuple[str, str]], evaluation: list[str]) -> Path:
    rows = [document_row(f"{given}{text}", len(given)) for given, text in train]
    write_parquet(sorted(rows, key=lambda row: row["document_id"]), path / TRAIN_FILE, TEXTS)
    write_parquet([document_row(text) for text in sorted(evaluation)], path / EVALUATION_FILE, TEXTS)
    write_parquet([], path / REJECTS_FILE, REJECTS)
    return path


CLEAN = [("", f"A shepherd counts {count} sheep and sleeps.") for count in range(20)]
STORY = "The quiet river carries small boats past the old mill, the two barns and the wide fields of rye."


@pytest.mark.parametrize("exclude", [True, False])
def test_documents_that_hold_a_benchmarks_question_are_left_out(tmp_path: Path, exclude: bool) -> None:
    leaks = [("", f"Solved: {ASKED} She keeps 8."), ("What is 1 + 1?\n", "It is 2.")]
    texts = corpus(tmp_path / "texts", [*CLEAN, *leaks], [STORY])
    bench = {"b": folder(tmp_path / "b", [ASKED, "What is 1+1?", "Else?"])}
    config = DecontaminateConfig(exclude=exclude)
    ledger, shared, seen = leave_out(config, TRAINED_TEXTS, texts, bench, tmp_path / "out", texts)
    assert shared == {"b": 2}
    assert (seen.documents, seen.overlapping) == (1, 0)
    kinds = {row["kind"]: row for row in read_rows(tmp_path / "out" / OVERLAPS_FILE)}
    assert set(kinds) == {"exact", "ngram"}
    kept = {row["text"] for row in read_rows(tmp_path / "out" / TRAIN_FILE, schema=TEXTS)}
    assert ledger == {"read": 22, "kept": 20 if exclude else 22, "overlapping": 2 if exclude else 0}
    assert kept == {given + text for given, text in (CLEAN if exclude else [*CLEAN, *leaks])}
    assert (tmp_path / "out" / EVALUATION_FILE).read_bytes() == (texts / EVALUATION_FILE).read_bytes()
    reasons = [row["reason"] for row in read_rows(tmp_path / "out" / REJECTS_FILE)]
    assert sum("overlap with b question" in reason for reason in reasons) == (2 if exclude else 0)


def test_held_out_documents_that_are_trained_on_are_found(tmp_path: Path) -> None:
    same, alike = ("", STORY.upper()), ("", f"{STORY} Then it turns south.")
    texts = corpus(tmp_path / "texts", [*CLEAN, same, alike], [STORY, "Nobody knows this one."])
    ledger, _, seen = leave_out(DecontaminateConfig(), TRAINED_TEXTS, texts, {}, tmp_path / "out", texts)
    assert ledger == {"read": 22, "kept": 21, "overlapping": 1}
    # The one that is left out is no document that is trained on.
    assert (seen.documents, seen.overlapping, [item.kind for item in seen.listed]) == (2, 1, ["ngram"])
    (listed,) = seen.listed
    assert listed.benchmark_id == document_row(STORY)["document_id"]
    (reject,) = read_rows(tmp_path / "out" / REJECTS_FILE)
    assert reject["reason"].startswith("exact overlap with one of the held-out documents, ")
    assert alike[1] in {row["text"] for row in read_rows(tmp_path / "out" / TRAIN_FILE)}


def test_texts_without_overlaps_are_passed_on_as_they_are(tmp_path: Path) -> None:
    texts = corpus(tmp_path / "texts", CLEAN, [STORY])
    (tmp_path / "out").mkdir()
    leave_out(DecontaminateConfig(), TRAINED_TEXTS, texts, {"b": folder(tmp_path / "b", [ASKED])}, tmp_path / "out")
    copied = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in texts.iterdir()}


def test_gsm8k_train_and_test_hardly_overlap(shared_data: Path, tmp_path: Path) -> None:
    from tasks.questions.config import QuestionsConfig
    from tasks.questions.load import build_questions
    from tasks.questions.sources import resolve

    for split in ("train", "test"):
        config = QuestionsConfig(source=str(shared_data / "gsm8k" / f"{split}.jsonl"), preset="gsm8k")
        build_questions(resolve(config), tmp_path / split, tmp_path / "work")
    asks, again = {"test": tmp_path / "test"}, {"again": tmp_path / "test"}
    ledger, *_ = leave_out(DecontaminateConfig(), TRAINED_QUESTIONS, tmp_path / "train", asks, tmp_path / "out")
    assert ledger["read"] == 7_473 == ledger["kept"] + ledger["overlapping"]
    assert 0 < ledger["overlapping"] < 150
    with pytest.raises(SourceError, match="all 1319 overlap with again"):
        leave_out(DecontaminateConfig(), TRAINED_QUESTIONS, tmp_path / "test", again, tmp_path / "none")
