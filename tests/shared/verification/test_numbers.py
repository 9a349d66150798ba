"""The fast path for numerals agrees with Math-Verify wherever both read the text."""

import random
from fractions import Fraction

import pytest
from math_verify import LatexExtractionConfig, parse, verify

from tasks.shared.verification.numbers import numbers_agree, read_number, split_percent


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("27", 27),
        ("-27.0", -27),
        ("+2", 2),
        (".5", Fraction(1, 2)),
        ("1,000,000", 1_000_000),
        (r"10,\!080", 10_080),
        (r"11,\! 111,\! 111,\! 100", 11_111_111_100),
        (r"32,\!348", 32_348),
        (r"0.1\overline{6}", Fraction(1, 6)),
        ("2 3/8", Fraction(19, 8)),
        ("10 000", 10_000),
        ("-1./3", Fraction(-1, 3)),
        (r"\frac43", Fraction(4, 3)),
        (r"-\dfrac{1}{2}", Fraction(-1, 2)),
        (r"\frac{-1}{1997}", Fraction(-1, 1997)),
        (r"1\frac{4}{5}", Fraction(9, 5)),
        ("4.5e33", Fraction(45) * 10**32),
        (r"4.5 \times 10^{-3}", Fraction(45, 10_000)),
        ("5 million", 5_000_000),
        ("2.5 dozen", 30),
    ],
)
def test_reads_numerals_exactly(text: str, value: Fraction) -> None:
    number = read_number(text)
    assert number is not None
    assert number.value == value


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "1,2",
        "1 2",
        "100, 200",
        "1, 234",
        "3x",
        r"\frac{1}{0}",
        "1/0",
        "5 cm",
        r"\sqrt{4}",
        "1e99999",
        "1.2.3",
        "--1",
    ],
)
def test_leaves_everything_else_alone(text: str) -> None:
    assert read_number(text) is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [("10%", ("10", True)), (r"8 \%", ("8", True)), ("5 percent", ("5", True)), ("10", ("10", False))],
)
def test_percent_sign_is_split_off(text: str, parts: tuple[str, bool]) -> None:
    assert split_percent(text) == parts


def test_agrees_with_math_verify() -> None:
    draw = random.Random(7)
    spellings = [
        lambda: str(draw.randint(-3, 3)),
        lambda: f"{draw.randint(-3, 3)}.0",
        lambda: f"{draw.randint(-6, 6) / 2}",
        lambda: rf"\frac{{{draw.randint(-3, 3)}}}{{{draw.randint(1, 4)}}}",
        lambda: f"{draw.randint(1, 4)}/{draw.randint(1, 4)}",
        lambda: f"{draw.randint(1, 4) / draw.randint(1, 4):.6f}",
        lambda: f"{draw.randint(1, 4) / draw.randint(1, 4):.5f}",
        lambda: f"{draw.randint(1000, 1003):,}",
        lambda: rf"{draw.randint(1, 3)}\frac{{1}}{{{draw.randint(2, 5)}}}",
        lambda: rf"{draw.randint(1, 3)}.5 \times 10^{{{draw.randint(-1, 3)}}}",
    ]
    target = [LatexExtractionConfig(boxed_match_priority=0)]
    disagreements, agreed = [], 0
    for _ in range(600):
        gold, answer = draw.choice(spellings)(), draw.choice(spellings)()
        left, right = read_number(gold), read_number(answer)
        assert left is not None
        assert right is not None
        ours = numbers_agree(left, right, decimals=6, relative_tolerance=1e-4)
        theirs = verify(*(parse(rf"\boxed{{{text}}}", target, fallback_mode="no_fallback") for text in (gold, answer)))
        agreed += ours
        if ours != theirs:
            disagreements.append((gold, answer, ours))
    assert disagreements == []
    assert agreed > 20
