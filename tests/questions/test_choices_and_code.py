"""Questions that are answered by a letter or by code."""

import json
from pathlib import Path
from typing import Any

import pytest

from tasks.questions.choices import ChoiceFields, lettered
from tasks.questions.config import QuestionsConfig
from tasks.questions.load import build_questions
from tasks.questions.rows import members
from tasks.questions.schema import QUESTIONS_FILE
from tasks.questions.sources import resolve
from tasks.questions.unit_tests import UnitTestFields, gold_tests
from tasks.shared.sources.values import UnusableValue
from tasks.shared.tables.parquet import Row, read_rows

LIST = ChoiceFields(paths=("choices",))
STORY = {
    "context": "Ann put the key in the box and left. Ben moved it to the bag.",
    "questions": [
        {"question": "Where does Ann look?", "choices": ["bag", "box"], "answer": 1, "intermediate_trees": [{}]},
        {"question": "Where does Ben look?", "choices": ["bag", "box"], "answer": 0, "intermediate_trees": [{}]},
    ],
}
SCIENCE = {
    "Question": "Which is a metal?",
    "Correct Answer": "Iron",
    "Incorrect Answer 1": "Neon",
    "Incorrect Answer 2": "Sulphur",
    "Incorrect Answer 3": "Argon",
}
MBPP = UnitTestFields(setup="setup", reference="code")


def rows(folder: Path, preset: str, held: Any) -> list[Row]:
    (folder / "rows.json").write_text(json.dumps(held))
    config = resolve(QuestionsConfig(source=str(folder / "rows.json"), preset=preset))
    ledger = build_questions(config, folder, folder).ledger()
    assert ledger["read"] == ledger["kept"] + ledger["rejected"]
    return list(read_rows(folder / QUESTIONS_FILE))


def test_a_story_with_several_questions_is_several_and_each_has_its_letter(tmp_path: Path) -> None:
    found = {row["question"].split("\n\n")[1]: row for row in rows(tmp_path, "musr", [STORY])}
    assert {asked: row["answer"] for asked, row in found.items()} == {
        "Where does Ann look?": "B",
        "Where does Ben look?": "A",
    }
    assert (
        found["Where does Ann look?"]["question"] == f"{STORY['context']}\n\nWhere does Ann look?\n\n(A) bag\n(B) box"
    )


def test_a_story_without_questions_costs_no_other_its_place(tmp_path: Path) -> None:
    # A fifth of the rows may be rejected.
    assert len(rows(tmp_path, "musr", [STORY, {"context": "Nothing happens."}, {**STORY, "context": "Later."}])) == 4
    assert list(members([], QuestionsConfig(source="x", preset="musr").mapping())) == []


def test_the_right_choice_of_gpqa_is_drawn_a_place_that_it_keeps(tmp_path: Path) -> None:
    places = set()
    for number in range(12):
        (row,) = rows(tmp_path, "gpqa", [{**SCIENCE, "Question": f"{number}. Which is a metal?"}])
        assert f"({row['answer']}) Iron" in row["question"]
        assert rows(tmp_path, "gpqa", [{**SCIENCE, "Question": f"{number}. Which is a metal?"}]) == [row]
        places.add(row["answer"])
    assert len(places) > 2


@pytest.mark.parametrize("right", ["salt", "B", "(b)", 1, "1"])
@pytest.mark.parametrize("choices", [["air", "salt", "tin"], "['air', \"salt\", 'tin']"])
def test_the_right_choice_is_named_by_text_letter_or_number(right: Any, choices: Any) -> None:
    assert lettered({"choices": choices}, "Which?", right, LIST) == ("Which?\n\n(A) air\n(B) salt\n(C) tin", "B")


@pytest.mark.parametrize(
    ("choices", "right"),
    [(["air"], 0), (["air", "air"], 0), (["air", "tin"], 2), (["air", "tin"], "salt"), ("air, tin", 0), (3, 0)],
)
def test_choices_that_cannot_be_told_apart_or_hold_no_right_one_are_refused(choices: Any, right: Any) -> None:
    with pytest.raises(UnusableValue):
        lettered({"choices": choices}, "Which?", right, LIST)


def test_an_answer_has_to_define_what_tests_use_and_not_what_they_import() -> None:
    code = "import math\nimport re\nclass Pair: pass\ndef helper(): pass\ndef area(r): return math.pi * r * r"
    row = {"code": code, "setup": "p = Pair()"}
    gold = json.loads(gold_tests(row, ["assert math.isclose(area(1), math.pi)"], MBPP))
    assert gold["entry_points"] == ["Pair", "area"]
    assert gold["unit_tests"] == "import math\np = Pair()\nassert math.isclose(area(1), math.pi)"


@pytest.mark.parametrize(("code", "tests"), [("def f(): pass", "assert g()"), ("def f(:", "f()"), ("def f(): pass", 3)])
def test_rows_without_usable_tests_are_refused(code: str, tests: Any) -> None:
    with pytest.raises(UnusableValue):
        gold_tests({"code": code, "setup": ""}, tests, MBPP)
