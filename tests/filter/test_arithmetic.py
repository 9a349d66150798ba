"""Equations of chains, recomputed: against judgements by hand, one by one, and within bounds."""

import random
import time
from collections import Counter
from fractions import Fraction
from pathlib import Path

import pytest
import yaml

from tasks.filter.arithmetic.equations import Arithmetic, check
from tasks.filter.endings import ending, new_problem
from tasks.generate.heuristics import load_heuristics, set_names

HERE = Path(__file__).parent
README = HERE.parents[1] / "tasks" / "filter" / "README.md"


def said(text: str) -> str:
    found = check(text)
    return "nothing" if not found.checked else "right" if found.score == 1 else "wrong"


@pytest.mark.parametrize(
    ("name", "row"), [("arithmetic_by_hand", "written by hand"), ("arithmetic_by_smollm2", "by SmolLM2-135M-Instruct")]
)
def test_it_agrees_with_judgements_by_hand_as_the_readme_says(name: str, row: str) -> None:
    judged = yaml.safe_load((HERE / f"{name}.yaml").read_text())
    both = Counter((by_hand, said(text)) for text, by_hand in judged)
    verdicts = ("right", "wrong", "nothing")
    assert both["right", "wrong"] == 0, "a false alarm"
    cells = [len(judged), *(both[hand, check] for hand in verdicts for check in verdicts)]
    agreed = sum(both[verdict, verdict] for verdict in verdicts)
    assert f"| {row} | {' | '.join(map(str, cells))} | {agreed} |" in README.read_text()


@pytest.mark.parametrize(
    ("text", "checked", "holding"),
    [
        ("48/2 = <<48/2=24>>24", 2, 2),
        ("2+3=5+1=6", 2, 2),
        ("2+3=6+1=7", 2, 1),
        ("2 + 3 = 5\n5 * 2 = 11", 2, 1),
        ("5 red apples + 3 green apples = 8 apples in the end", 1, 1),
        ("So 104 / 26 = 4, and 104 x 4 = 408 packs", 2, 1),
        ("(4 + 2) / 3 = 2 = 8 - 6", 2, 2),
        (r"\frac{1}{2} + \dfrac{1}{3} = \frac{5}{6}", 1, 1),
        (r"\left( 3 + 4 \right) \cdot 2 = \boxed{14}", 1, 1),
        (r"\$1{,}250.50 + \$0.50 = \$1,251", 1, 1),
        ("5 - 8 = -3 and 5 - 8 = 3", 2, 1),
        ("1/3 = 0.333 and 1/3 = 0.334", 2, 1),
        (r"1/3 \approx 0.3 and 22/7 ≈ 3", 2, 2),
        ("3.33 x 20 = 66.67", 1, 0),
        ("20% of 50 = 10 and 1/2 of 10 = 6", 2, 1),
        ("2^10 = 1024", 1, 1),
        ("3 plus 4 = 7, 3 times 4 = 12, 9 minus 4 = 6", 3, 2),
        ("17g of wax = 17g of wax", 0, 0),
        ("7x + 3 = 3x", 0, 0),
        ("x = 3, y = 4, x * y = 12", 0, 0),
        ("f(2 + 3) = 10 and log(5 + 5) = 1", 0, 0),
        ("1 / 0 = 5", 0, 0),
        ("if (a + 1 == 2) return a >= 3 + 4", 0, 0),
        ("5 + 3 => 9", 0, 0),
        ("5 more than 2 + 3 = 10", 0, 0),
        ("25 classmates + his 1 teacher + 1 himself = 27", 0, 0),
        ("4 students drank 1.5 quarts = 4 * 1.5 = 6 quarts", 1, 1),
        ("Split 192 = 43 + 169", 1, 0),
        ("1 foot^2 = 12^2 inches^2 = 144 inches^2", 1, 1),
        (r"\frac{1}{3}Bh = \frac{1}{3}(30)(6.5) = (10)(6.5) = 65", 2, 2),
        (r"3/24 = \boxed{\frac{1}{8}} of 2 feet", 1, 1),
        (r"279/99999 = 0.\overline{00279}", 0, 0),
        (r"7@3 + 1 = 5 and a_1 + 2 = 9 and a^2 + 1 = 10", 0, 0),
        ("9^9^9^9 = 1 and 9^999999 = 1 and 2^-1 = 0.5", 1, 1),
    ],
)
def test_each_equation_is_recomputed(text: str, checked: int, holding: int) -> None:
    assert check(text) == Arithmetic(checked, holding)


@pytest.mark.parametrize(
    "solution",
    [example.solution for name in set_names() for item in load_heuristics(name) for example in item.examples],
)
def test_the_shipped_worked_examples_hold_and_end_with_their_answer(solution: str) -> None:
    assert check(solution).score == 1
    assert ending(solution, ("boxed", "tag", "hash", "phrase"), new_problem()).kind == "whole"


def test_right_and_wrong_expressions_drawn_at_random_are_told_apart() -> None:
    rng = random.Random(5)
    for _ in range(500):
        terms = [str(rng.randint(1, 99)) for _ in range(rng.randint(2, 6))]
        expression = terms[0] + "".join(f" {rng.choice('+-*/')} {term}" for term in terms[1:])
        value = _by_python(expression)
        assert check(f"we get {expression} = {value} pens.") == Arithmetic(1, 1)
        assert check(f"we get {expression} = {value + 1} pens.") == Arithmetic(1, 0)


def _by_python(expression: str) -> Fraction:
    """The value of an expression of whole numbers, by Python's own rules of precedence."""
    words = [word if word in "+-*/" else f"Fraction({word})" for word in expression.split()]
    value = eval(" ".join(words), {"Fraction": Fraction})
    assert isinstance(value, Fraction)
    return value


@pytest.mark.parametrize(
    "piece",
    [
        "1+",
        "(",
        "1 + 1 = ",
        "=",
        "{",
        r"\frac{",
        "9^",
        "-",
        "1,000",
        " ",
        "a ",
        "**",
        "<<1=1>>",
        "1 of ",
        "\n",
        "2 1/2 ",
    ],
)
def test_a_long_text_takes_no_time(piece: str) -> None:
    began = time.thread_time()
    check(piece * (200_000 // len(piece)) + " = 3")
    assert time.thread_time() - began < 1.5
