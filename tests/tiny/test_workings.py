"""The work that thinking writes down: true equations, small ones, and at their end the number that stands there."""

import re

import pytest

from tasks.tiny.problems import OOD_SPLIT, Problem, families_of, generate_problems
from tasks.tiny.styles import STYLES, completion
from tasks.tiny.workings import UNKNOWNS, expression_for, steps_of

PROBLEMS = [*generate_problems("base", 350, seed=3), *generate_problems(OOD_SPLIT, 90, seed=3)]
# The numbers of a guess that are parts of the answer: its tens, and what is missing to it.
PART = re.compile(r"^ Guess (\d+\. Off by )?$")


def true_steps(expression: str) -> list[int]:
    steps = steps_of(expression)
    for step in steps:
        left, value = step.text.split("=")
        assert eval(left) == int(value), step
        inverse, given = step.check.split("=")
        assert eval(inverse) == int(given), step
    return [step.value for step in steps]


@pytest.mark.parametrize(
    ("expression", "steps"),
    [
        ("61+38+57", ["61+38=99", "99+57=156"]),
        ("47*3", ["50*3=150", "3*3=9", "150-9=141"]),
        ("43*3", ["40*3=120", "3*3=9", "120+9=129"]),
        ("40*3", ["40*3=120"]),
        ("198*3+20", ["200*3=600", "2*3=6", "600-6=594", "594+20=614"]),
        ("96/(3+1)+50", ["3+1=4", "96/4=24", "24+50=74"]),
        ("92-84+34", ["92-84=8", "8+34=42"]),
        ("(113-41)/3", ["113-41=72", "72/3=24"]),
        ("7", []),
    ],
)
def test_steps(expression: str, steps: list[str]) -> None:
    assert [step.text for step in steps_of(expression)] == steps


@pytest.mark.parametrize("text", ["x+3", "3**4", "f(2)", "2.5+1", "-3+4"])
def test_anything_but_whole_numbers_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an expression of whole numbers"):
        steps_of(text)


def numbers_of(problem: Problem, style: str) -> list[tuple[str, int]]:
    """Every number of a solution with the text before it."""
    text = completion(problem, style)
    return [(text[: found.start()], int(found.group())) for found in re.finditer(r"\d+", text)]


@pytest.mark.parametrize("style", STYLES)
def test_the_work_ends_in_the_number_that_stands_there(style: str) -> None:
    """Its value is known from the text before it and the question alone, or it is not worked out."""
    worked = 0
    for problem in PROBLEMS:
        for before, value in numbers_of(problem, style):
            expression = expression_for(problem, before, value)
            if expression is None:
                continue
            worked += 1
            reached = true_steps(expression)[-1]
            right = {value, int(problem.answer)} if PART.match(before) else {value}
            assert reached in right, (problem, before, value)
    assert worked > 0.9 * len(PROBLEMS)


@pytest.mark.parametrize("style", STYLES)
def test_the_first_number_that_is_not_in_the_question_is_worked_out(style: str) -> None:
    for problem in PROBLEMS:
        known, asked = set(re.findall(r"\d+", problem.question)), dict[str, str | None]()
        for before, value in numbers_of(problem, style):
            if before.endswith("=") and str(value) not in known and "x" not in before:
                asked[before] = expression_for(problem, before, value)
                break
        assert None not in asked.values(), problem


def test_work_uses_no_number_that_the_context_does_not_have() -> None:
    for problem in PROBLEMS:
        given = set(re.findall(r"\d+", problem.question)) | {"1", "2"}
        for _, expression in UNKNOWNS[problem.family](problem.numbers):
            assert set(re.findall(r"\d+", expression)) <= given, (problem, expression)


def test_a_number_that_was_stated_is_not_worked_out_again() -> None:
    problem = next(p for p in PROBLEMS if p.family == "sum")
    solution = completion(problem, "step")
    assert expression_for(problem, solution[: -len(problem.answer)], int(problem.answer)) is None
    assert expression_for(problem, " Step ", problem.numbers[0]) is None


def test_every_family_has_its_unknowns_and_the_answer_is_the_first() -> None:
    assert set(UNKNOWNS) == {*families_of("base"), *families_of(OOD_SPLIT)}
    for problem in PROBLEMS:
        for place, (value, expression) in enumerate(UNKNOWNS[problem.family](problem.numbers)):
            assert true_steps(expression)[-1] == value
            assert place or str(value) == problem.answer
