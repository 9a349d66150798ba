"""The stage's work on whole sources: publishers' sets, messy input, limits, and counts that add up."""

import gzip
import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.questions.config import QuestionsConfig, TinyOptions
from tasks.questions.fields import FieldMapping
from tasks.questions.load import CONFLICT, QuestionIntake, build_questions
from tasks.questions.rows import question_id
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.questions.sources import resolve
from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.rejects import REJECTS, REJECTS_FILE
from tasks.shared.tables.parquet import read_rows
from tests.support.tables import check_schema

PLAIN = FieldMapping(question="q", answer="a")


def load(folder: Path, **config: Any) -> tuple[QuestionIntake, list[dict[str, Any]], list[dict[str, Any]]]:
    counts = build_questions(resolve(QuestionsConfig(**config)), folder / "out", folder / "work")
    check_schema(folder / "out" / QUESTIONS_FILE, QUESTIONS)
    check_schema(folder / "out" / REJECTS_FILE, REJECTS)
    assert list((folder / "work").glob("*")) == []
    rows = list(read_rows(folder / "out" / QUESTIONS_FILE))
    rejects = list(read_rows(folder / "out" / REJECTS_FILE))
    ledger = counts.ledger()
    assert (len(rows), len(rejects)) == (ledger["kept"], ledger["rejected"])
    assert [row["id"] for row in rows] == sorted({row["id"] for row in rows})
    return counts, rows, rejects


def written(path: Path, rows: list[Any]) -> str:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows))
    return str(path)


PUBLISHED = [
    ("gsm8k/train", "gsm8k", 7_473, "Natalia sold clips to 48", "72"),
    ("gsm8k/test", "gsm8k", 1_319, "Janet’s ducks lay 16 eggs", "18"),
    ("math500/test", "math500", 500, "Convert the point $(0,3)$", "\\left( 3, \\frac{\\pi}{2} \\right)"),
    ("aime24/test", "aime24", 30, "Every morning Aya goes for a", "204"),
    ("amc23/test", "amc23", 40, "Cities $A$ and $B$ are $45$ miles", "27"),
    ("minerva_math/test", "minerva_math", 272, "Each of the two Magellan telescopes", "1.6"),
    ("olympiadbench/test", "olympiadbench", 675, "Xenia and Sergey play the following", "2"),
    ("svamp/test", "svamp", 1_000, "There are 87 oranges and 290 bananas", "145"),
]


@pytest.mark.parametrize(("file", "preset", "count", "start", "answer"), PUBLISHED)
def test_published_sets_load_whole(
    shared_data: Path, tmp_path: Path, file: str, preset: str, count: int, start: str, answer: str
) -> None:
    counts, rows, _ = load(tmp_path, source=str(shared_data / f"{file}.jsonl"), preset=preset)
    assert counts.ledger() == {
        "read": count,
        "kept": count,
        "merged": 0,
        "rejected": 0,
        "other_part": 0,
        "beyond_limit": 0,
    }
    [row] = [row for row in rows if row["question"].startswith(start)]
    assert row["answer"] == answer
    assert row["source"] == preset
    assert row["id"] == question_id(row["question"])


def test_gsm8k_answers_are_numbers_and_no_solution_leaks(shared_data: Path, tmp_path: Path) -> None:
    _, rows, _ = load(tmp_path, source=str(shared_data / "gsm8k" / "train.jsonl"), preset="gsm8k")
    assert all(row["answer"].lstrip("-").replace(".", "", 1).isdigit() for row in rows)
    assert {row["meta"] for row in rows} == {"{}"}


def test_svamp_joins_story_and_question(shared_data: Path, tmp_path: Path) -> None:
    _, rows, _ = load(tmp_path, source=str(shared_data / "svamp" / "test.jsonl"), preset="svamp")
    [row] = [row for row in rows if json.loads(row["meta"])["id"] == "chal-777"]
    assert row["question"].endswith("into 93 groups. How big is each group of bananas?")


def test_dapo_questions_lose_their_prompt_and_their_copies(tmp_path: Path) -> None:
    wrapped = (
        "Solve the following math problem step by step. The last line of your response should be of the form "
        "Answer: $Answer (without quotes) where $Answer is the answer to the problem.\n\nFind $x$ for {}.\n\n"
        'Remember to put your answer on its own line after "Answer:".'
    )
    rows = [
        {"prompt": [{"content": wrapped.format(n % 5), "role": "user"}], "reward_model": {"ground_truth": str(n % 5)}}
        for n in range(50)
    ]
    counts, questions, _ = load(tmp_path, source=written(tmp_path / "dapo.jsonl", rows), preset="dapo-math-17k")
    assert counts.ledger() == {"read": 50, "kept": 5, "merged": 45, "rejected": 0, "other_part": 0, "beyond_limit": 0}
    assert {row["question"] for row in questions} == {f"Find $x$ for {n}." for n in range(5)}


def test_messy_rows_are_listed_with_place_field_and_reason(tmp_path: Path) -> None:
    good = [{"q": f"question {index}", "a": index} for index in range(8)]
    rows = [
        *good,
        '{"q": "torn',
        {"q": "no answer"},
        {"q": "   ", "a": 1},
        {"q": 7, "a": [1]},
        {"q": "half \ud800", "a": 1},
        {"q": "  question   1\n", "a": "1"},
        {"q": "twice", "a": 1},
        {"q": "twice", "a": 2},
        {"q": "long answer", "a": "x" * 1_001},
    ]
    source = written(tmp_path / "mess.jsonl", rows)
    counts, kept, rejects = load(tmp_path, source=source, fields=PLAIN, max_rejected_share=0.9)
    assert counts.ledger() == {"read": 17, "kept": 8, "merged": 1, "rejected": 8, "other_part": 0, "beyond_limit": 0}
    assert {row["question"] for row in kept} == {row["q"] for row in good}
    assert [(reject["line"], reject["field"]) for reject in rejects] == [
        (9, ""),
        (10, "a"),
        (11, "q"),
        (12, "a"),
        (13, "q"),
        (15, "answer"),
        (16, "answer"),
        (17, "a"),
    ]
    assert rejects[1] == {
        "file": "mess.jsonl",
        "line": 10,
        "field": "a",
        "value": "{'q': 'no answer'}",
        "reason": "is missing",
    }
    assert rejects[5]["reason"] == CONFLICT
    assert counts.reasons[f"answer: {CONFLICT}"] == 2


@pytest.mark.parametrize("seed", range(5))
def test_counts_add_up_whatever_the_input(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    makers: list[Callable[[], Any]] = [
        lambda: {"q": f"question {rng.randrange(60)}", "a": rng.choice(["1", "1", "1", "2"])},
        lambda: {"q": rng.choice(["", None, 3.5, [], {}]), "a": rng.choice(["", None, 1, float("nan")])},
        lambda: rng.choice(["", "[]", "null", '{"q"', '{"a": 1}']),
    ]
    rows = [rng.choices(makers, [6, 1, 1])[0]() for _ in range(400)]
    source = written(tmp_path / "rows.jsonl", rows)
    counts, _, _ = load(tmp_path, source=source, fields=PLAIN, max_rejected_share=1.0, limit=10)
    assert counts.read == sum(row != "" for row in rows)


def test_parts_of_a_set_share_no_question_and_stay_as_the_set_grows(tmp_path: Path) -> None:
    def taken(count: int, part: str, **more: Any) -> tuple[set[str], dict[str, int]]:
        source = written(tmp_path / "rows.jsonl", [{"q": f"question {n}", "a": n} for n in range(count)])
        counts, rows, _ = load(tmp_path, source=source, fields=PLAIN, part=part, **more)
        return {row["question"] for row in rows}, counts.ledger()

    first, ledger = taken(300, "0-70")
    rest, _ = taken(300, "70-100")
    assert first | rest == taken(300, "")[0]
    assert not first & rest
    assert ledger["other_part"] == len(rest)
    assert 60 < len(rest) < 120
    assert taken(600, "0-70")[0] & {f"question {n}" for n in range(300)} == first
    few, ledger = taken(300, "70-100", limit=20, order="shuffled")
    assert len(few) == 20
    assert few < rest
    assert (ledger["other_part"], ledger["beyond_limit"]) == (len(first), len(rest) - 20)


def test_a_set_taken_whole_keeps_its_identity_and_a_part_has_its_own(tmp_path: Path) -> None:
    source = written(tmp_path / "rows.jsonl", [{"q": "one", "a": 1}])
    whole, part = (resolve(QuestionsConfig(source=source, fields=PLAIN, part=text)) for text in ("", "0-50"))
    all_of_it = resolve(QuestionsConfig(source=source, fields=PLAIN, part="0-100"))
    assert all_of_it.identity_payload() == whole.identity_payload()
    assert "part" not in whole.identity_payload()
    assert part.identity_payload()["part"] == "0-50"


@pytest.mark.parametrize("part", ["70", "70-", "70-60", "0-101", "-1-50", "0.5-1"])
def test_a_part_that_is_none_is_refused(part: str) -> None:
    with pytest.raises(ValidationError, match="is no part of a set; write it in whole percent as 0-70"):
        QuestionsConfig(part=part)


@pytest.mark.parametrize("order", ["file", "shuffled"])
def test_a_smaller_limit_is_a_subset(tmp_path: Path, order: str) -> None:
    source = written(tmp_path / "rows.jsonl", [{"q": f"question {n}", "a": n} for n in range(300)])
    sets = []
    for limit in (10, 40, 300, 999):
        counts, rows, _ = load(tmp_path, source=source, fields=PLAIN, limit=limit, order=order)
        sets.append({row["question"] for row in rows})
        assert len(rows) == min(limit, 300)
        assert counts.beyond_limit == 300 - len(rows)
    assert sets[0] < sets[1] < sets[2] == sets[3]
    assert (sets[0] == {f"question {n}" for n in range(10)}) == (order == "file")


def test_the_seed_draws_another_subset(tmp_path: Path) -> None:
    source = written(tmp_path / "rows.jsonl", [{"q": f"question {n}", "a": n} for n in range(300)])
    drawn = [
        {row["id"] for row in load(tmp_path, source=source, fields=PLAIN, limit=50, order="shuffled", seed=seed)[1]}
        for seed in (0, 1)
    ]
    assert drawn[0] != drawn[1]


def test_a_field_that_no_row_has_is_an_error_that_names_the_nearest(tmp_path: Path) -> None:
    source = written(tmp_path / "rows.jsonl", [{"problem": "x", "solution": "1"}] * 3)
    with pytest.raises(
        SourceError, match=r"fields.question: no row .* has 'problems'; did you mean 'problem'\?.*solution"
    ):
        load(tmp_path, source=source, fields=FieldMapping(question="problems", answer="solution"))
    with pytest.raises(SourceError, match=r"fields.answer: no row .* has 'reward_model.ground_truth'"):
        load(tmp_path, source=source, fields=FieldMapping(question="problem", answer="reward_model.ground_truth"))


def test_a_field_that_publishers_call_otherwise_is_proposed_before_one_that_is_spelled_alike(tmp_path: Path) -> None:
    source = written(tmp_path / "rows.jsonl", [{"problem": "x", "questions_asked": 3, "solution": "1"}] * 3)
    with pytest.raises(SourceError, match=r"fields.question: .*has 'question'; did you mean 'problem'\?"):
        load(tmp_path, source=source, fields=FieldMapping(question="question", answer="solution"))
    with pytest.raises(SourceError, match=r"fields.answer: .*has 'answer'; did you mean 'solution'\?"):
        load(tmp_path, source=source, fields=FieldMapping(question="problem", answer="answer"))


def test_too_many_rejects_are_an_error_with_examples(tmp_path: Path) -> None:
    source = written(tmp_path / "rows.jsonl", [{"q": "x", "a": 1}, {"q": "y", "a": ""}, "{"])
    with pytest.raises(SourceError, match=r"2 of 3 rows .* rejected.*rows.jsonl line 2: a is empty"):
        load(tmp_path, source=source, fields=PLAIN)


@pytest.mark.parametrize("text", ["", "\n\n"])
def test_an_empty_source_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "rows.jsonl").write_text(text)
    with pytest.raises(SourceError, match="holds no rows"):
        load(tmp_path, source=str(tmp_path / "rows.jsonl"), fields=PLAIN)


def test_a_truncated_download_is_an_error(tmp_path: Path, shared_data: Path) -> None:
    whole = gzip.compress((shared_data / "gsm8k" / "test.jsonl").read_bytes())
    (tmp_path / "test.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(SourceError, match=r"test\.jsonl\.gz: the gzip file is damaged or cut off"):
        load(tmp_path, source=str(tmp_path / "test.jsonl.gz"), preset="gsm8k")
    assert not (tmp_path / "out" / QUESTIONS_FILE).exists()


def test_the_embedded_world_keeps_its_families(tmp_path: Path) -> None:
    counts, rows, _ = load(tmp_path, tiny=TinyOptions(split="dev", count=60))
    assert counts.read == 60
    assert all(json.loads(row["meta"])["family"] for row in rows)
    assert {row["source"] for row in rows} == {"tiny"}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("a  b\n", "a b"),
        ("caf\u00e9", "cafe\u0301"),
        ("a\u00a0b", "a b"),
    ],
)
def test_ids_do_not_depend_on_spelling_of_the_same_text(one: str, other: str) -> None:
    assert question_id(one) == question_id(other)


@pytest.mark.parametrize(("one", "other"), [("2³", "23"), ("A", "a"), ("1 2", "12")])
def test_ids_tell_different_questions_apart(one: str, other: str) -> None:
    assert question_id(one) != question_id(other)


def test_the_id_of_a_text_is_fixed() -> None:
    assert question_id("What is 1 + 1?") == "72f8917549de2d6d"
