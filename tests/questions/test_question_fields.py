"""Paths, templates and answer rules on single rows."""

from typing import Any

import pytest
from pydantic import ValidationError

from tasks.questions.answers import AnswerRule, extract_answer, last_boxed, tidy_number
from tasks.questions.fields import FieldMapping
from tasks.shared.sources.paths import MissingField, look_up, resolve
from tasks.shared.sources.values import UnusableValue

ROW = {
    "prompt": [{"content": "What is 1+1?", "role": "user"}],
    "reward_model": {"ground_truth": "2"},
    "a.b": "dotted",
    "Body": " Ann has 3 pens ",
    "Question": "How many?",
    "none": None,
}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("prompt[0].content", "What is 1+1?"),
        ("prompt[-1].role", "user"),
        ("reward_model.ground_truth", "2"),
        ("a.b", "dotted"),
        ("none", None),
    ],
)
def test_paths_lead_into_nested_rows(path: str, value: Any) -> None:
    assert look_up(ROW, path) == value


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("prompts[0].content", "prompts"),
        ("prompt[1].content", "prompt[1]"),
        ("prompt.content", "prompt.content"),
        ("reward_model.truth", "reward_model.truth"),
        ("Body[0]", "Body[0]"),
    ],
)
def test_a_missing_step_is_named(path: str, step: str) -> None:
    with pytest.raises(MissingField) as caught:
        look_up(ROW, path)
    assert caught.value.field == step


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (" Ann has 3 pens ", "Ann has 3 pens. How many?"),
        ("Ann has 3 pens.", "Ann has 3 pens. How many?"),
        ("", " How many?"),
    ],
)
def test_templates_join_fields_into_sentences(body: str, text: str) -> None:
    assert resolve({**ROW, "Body": body}, "{Body|sentence} {Question}") == text


@pytest.mark.parametrize("spec", ["", "  ", "a..b", "a[x]", "{}", "{unclosed", "a[0"])
def test_a_mapping_that_names_no_field_is_refused(spec: str) -> None:
    with pytest.raises(ValidationError, match="question"):
        FieldMapping(question=spec, answer="answer")


@pytest.mark.parametrize(
    ("value", "rule", "answer"),
    [
        ("Half.\n#### 2,125", {"after": "####", "number": True}, "2125"),
        ("#### 1 #### -10", {"after": "####", "number": True}, "-10"),
        ("so 4<<2*2=4>>4", {"drop_calculator_marks": True}, "so 44"),
        (27.0, {"number": True}, "27"),
        (1201565.0, {"number": True}, "1201565"),
        (0.5, {"number": True}, "0.5"),
        (-1.0, {"number": True}, "-1"),
        (1e22, {"number": True}, "10000000000000000000000"),
        ("025", {"number": True}, "25"),
        ("-0.0", {"number": True}, "0"),
        ("2.50", {"number": True}, "2.5"),
        ("100", {"number": True}, "100"),
        ("1,2", {"number": True}, "1,2"),
        ("\\frac{14}{3}", {"number": True}, "\\frac{14}{3}"),
        ("1e999999", {"number": True}, "1e999999"),
        ("27.0", {}, "27.0"),
        (["$2n$", "x"], {"first_of_list": True}, "$2n$"),
        ("a \\boxed{1} b \\boxed{\\frac{1}{2}} c", {"last_boxed": True}, "\\frac{1}{2}"),
        ("\\boxed {\\left\\{1,2\\right\\}}", {"last_boxed": True}, "\\left\\{1,2\\right\\}"),
    ],
)
def test_gold_answers_are_taken_out(value: Any, rule: dict[str, Any], answer: str) -> None:
    assert extract_answer(value, AnswerRule(**rule)) == answer


@pytest.mark.parametrize(
    ("value", "rule", "reason"),
    [
        (None, {}, "is null"),
        ("  ", {}, "is empty"),
        ("no mark", {"after": "####"}, "has no '####'"),
        ("12 ####  ", {"after": "####"}, "is empty"),
        ([], {"first_of_list": True}, "is an empty list"),
        ("x", {"first_of_list": True}, "is str, not a list"),
        ([[1]], {"first_of_list": True}, "is a list, not text"),
        ({"a": 1}, {}, "is an object, not text"),
        (float("nan"), {"number": True}, "is not a finite number"),
        (float("-inf"), {}, "is not a finite number"),
        ("\\boxed{1", {"last_boxed": True}, "ends inside"),
        ("\\boxed 1", {"last_boxed": True}, "without braces"),
        ("1", {"last_boxed": True}, "has no"),
    ],
)
def test_an_unusable_answer_has_a_reason(value: Any, rule: dict[str, Any], reason: str) -> None:
    with pytest.raises(UnusableValue, match=reason):
        extract_answer(value, AnswerRule(**rule))


def test_the_last_box_counts_whatever_its_command() -> None:
    assert last_boxed("\\boxed{1} then \\fbox{2}") == "2"


@pytest.mark.parametrize("text", ["٣", "1 000", "", "--1", "1.2.3"])
def test_what_is_no_plain_number_stays(text: str) -> None:
    assert tidy_number(text) == text
