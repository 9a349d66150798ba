"""Traces: every style has one for every family, ends in the answer, and states no false equation."""

import re
from itertools import pairwise
from pathlib import Path

import pytest
import yaml

import tasks.generate
from tasks.evaluate.config import benchmark
from tasks.tiny.problems import TRAINED_FAMILIES, Problem, generate_problems
from tasks.tiny.styles import (
    METHODS,
    OPENING_WORDS,
    STYLES,
    SUITED,
    completion,
    named_prompt,
    plain_prompt,
    style_histogram,
    style_of,
)
from tasks.tiny.traces import TRACES

PROBLEMS = generate_problems("base", 350, seed=7)
NUMBER = re.compile(r"-?\d+")


def holds(equation: str, unknown: int) -> bool:
    """Whether all sides of a chain such as `3*x+14=95` are equal when x (or t) is the unknown."""
    sides = [re.sub(r"[xt]", str(unknown), side) for side in equation.split("=")]
    assert all(re.fullmatch(r"[\d+*/()-]+", side) for side in sides), equation
    values = [eval(side) for side in sides]  # digits and operators only, as just checked
    return all(a == b for a, b in pairwise(values))


@pytest.mark.parametrize("style", STYLES)
def test_every_trace_ends_in_the_answer_and_its_equations_are_true(style: str) -> None:
    assert set(TRACES) == set(TRAINED_FAMILIES)
    for problem in PROBLEMS:
        text = completion(problem, style)
        body, final = text.rsplit("\n", 1)
        assert final == f"#### {problem.answer}"
        equations = [word for word in re.split(r"[ .:\n]+", body) if "=" in word]
        assert all(holds(equation, int(problem.answer)) for equation in equations), text
        assert problem.answer in NUMBER.findall(body.replace("-", " ")), text


@pytest.mark.parametrize("style", STYLES)
def test_the_first_word_tells_the_style(style: str) -> None:
    assert {style_of(completion(problem, style)) for problem in PROBLEMS} == {style}


@pytest.mark.parametrize("name", ["tiny-dev", "tiny-test", "tiny-ood"])
def test_evaluations_on_this_world_tell_its_styles_apart(name: str) -> None:
    assert benchmark(name).styles == OPENING_WORDS


def test_unknown_openings_are_other() -> None:
    assert [style_of(text) for text in ("", "  ", "Endless 3", "\n#### 4")] == ["other"] * 4
    histogram = style_histogram([" Split 1", " Split 2", "what"])
    assert histogram == {**dict.fromkeys(STYLES, 0), "decomposition": 2, "other": 1}


def test_prompts_are_as_agreed() -> None:
    assert plain_prompt("How many?") == "Q: How many?\nA:"
    assert named_prompt("How many?", "backward") == "Q: How many?\nMethod: working backward\nA:"
    assert set(METHODS) == set(OPENING_WORDS)
    with pytest.raises(KeyError):
        named_prompt("How many?", "luck")


def jumps(problem: Problem, style: str) -> list[tuple[int, ...]]:
    """The operands of every computation that has numbers alone on both sides."""
    found = re.findall(r"(?<!\S)([\d+*/()-]+)=\d+", completion(problem, style))
    return [tuple(map(int, re.findall(r"\d+", left))) for left in found]


@pytest.mark.parametrize("family", TRAINED_FAMILIES)
def test_suited_styles_make_more_jumps_than_the_habit(family: str) -> None:
    problem = next(p for p in PROBLEMS if p.family == family)
    habit = len(jumps(problem, "step"))
    assert habit <= 1
    assert all(len(jumps(problem, style)) > habit for style in SUITED[family])


def test_the_heuristics_of_this_world_bear_the_methods_names() -> None:
    folder = Path(tasks.generate.__file__).parent / "heuristics" / "tiny"
    names = [yaml.safe_load(path.read_text())["name"] for path in sorted(folder.glob("*.yaml"))]
    assert sorted(names) == sorted(METHODS.values())
