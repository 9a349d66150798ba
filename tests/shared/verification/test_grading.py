"""Which answers are right, which are wrong, and which a grader must not be talked into."""

import random

import pytest

from tasks.shared.verification import grading
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.grading import compare, grade

CONFIG = VerificationConfig()


def verdict(answer: str, gold: str) -> str:
    return compare(answer, gold, CONFIG)[0]


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("27", "27.0"),
        ("27.00", "27"),
        ("1,000", "1000"),
        ("1000", "10^3"),
        (r"10{,}080", r"10,\!080"),
        ("$18.9", r"\$18.90"),
        ("0.333333", r"\frac{1}{3}"),
        (r"\dfrac{1}{3}", r"\frac13"),
        (r"-\frac{1}{3}", "-1./3"),
        (r"4.5 \times 10^{33}", "4.5e33"),
        (r"4.5\cdot 10^{33} \text{ erg/s}", "4.5e33"),
        ("5 million", "5000000"),
        (r"1.8", r"1\frac{4}{5}"),
        ("864", r"864 \mbox{ inches}^2"),
        ("5 apples", "5"),
        (r"5 \text{ cm}", "5"),
        ("90", r"90^\circ"),
        ("Evelyn", r"\text{Evelyn}"),
        (r"\text{EAST}", r"\text{east}"),
        ("C", r"\text{(C)}"),
        ("4343", "4343_6"),
        ("4343_{6}", "4343_6"),
        (r"n^2 - n", "$n(n-1)$"),
        (r"\left(3, \pi/2\right)", r"\left( 3, \frac{\pi}{2} \right)"),
        ("(3, 4]", "(3,4]"),
        ("-2, 1", "1,-2"),
        (r"\{-2, 1\}", "1,-2"),
        (r"1+\sqrt{19}, 1-\sqrt{19}", r"1 \pm \sqrt{19}"),
        (r"\begin{bmatrix} -2 \\ -14 \\ -7 \end{bmatrix}", r"\begin{pmatrix} -2 \\ -14 \\ -7 \end{pmatrix}"),
        (r"[-2,7]", r"x \in [-2,7]"),
        (r"(9,36) \cup (0,9)", r"(0,9) \cup (9,36)"),
        ("5", "x=5"),
        ("x = 5", "5"),
        ("x+y=36", "36.0"),
        (r"x = \frac{10}{2} = 5", "5"),
        (r"2 + 3 = 5", "5"),
        (r"\sum_{k=1}^{100} k = 5050", "5050"),
        (r"p = 10\%", "0.1"),
        (r"N = 52_8", "52_8"),
        (r"\text{winner} = \text{Evelyn}", r"\text{Evelyn}"),
        (r"f(n) = n(n-1) = n^2-n", "n^2-n"),
        ("P(X=2) = 0.5", "1/2"),
        (r"m_{\max} = n^2-n-1", "n^2-n-1"),
        ("10x - 14y + 22z + 8 = 0", "5x - 7y + 11z + 4 = 0"),
        ("2x+3", "y = 2x + 3"),
        (r"\frac{e^{t}}{3}", r"e^{t} / 3"),
        ("221, 8", "$221,$8$"),
    ],
)
def test_equal_answers_are_correct(answer: str, gold: str) -> None:
    assert verdict(answer, gold) == "correct"


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        ("28", "27.0"),
        ("0.3333", r"\frac{1}{3}"),
        ("1000", "1,001"),
        ("(2,1)", "(1,2)"),
        ("[3,4]", "(3,4]"),
        ("(5,3)", "(8,-2)"),
        ("Navin", r"\text{Evelyn}"),
        ("nylevE", r"\text{Evelyn}"),
        ("D", r"\text{(C)}"),
        ("52_7", "52_8"),
        ("42", "52_8"),
        ("52_8", "52"),
        ("2n+1", "2n"),
        ("x = 6", "5"),
        ("12 or 13", "12"),
        ("5 million", "5"),
        (r"1 \pm \sqrt{19}", r"1 + \sqrt{19}"),
    ],
)
def test_other_values_are_wrong(answer: str, gold: str) -> None:
    assert verdict(answer, gold) == "wrong"


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (r"\int_0^1 x^2 dx", "1/3"),
        (r"\sum_{k=1}^{100} k", "5050"),
        (r"S = \sum_{k=1}^{100} k", "5050"),
        (r"\prod_{k=1}^5 k", "120"),
        (r"\lim_{x\to 0} \frac{\sin x}{x}", "1"),
        (r"\frac{d}{dx} x^2", "2x"),
        (r"\gcd(12, 18)", "6"),
        (r"\max(1, 2)", "2"),
        (r"\operatorname{lcm}(4, 6)", "12"),
    ],
)
def test_work_left_undone_is_wrong(answer: str, gold: str) -> None:
    name, detail = compare(answer, gold, CONFIG)
    assert name == "wrong"
    assert "left undone" in detail


@pytest.mark.parametrize(
    ("answer", "gold"),
    [
        (r"\sum_{j=1}^{n} j", r"\sum_{k=1}^{n} k"),
        (r"\int_0^t f(s)\,ds", r"\int_0^t f(s) ds"),
        (r"k x - a = \frac{dx}{dt}", r"\frac{d x}{d t}=k x-a"),
    ],
)
def test_gold_with_an_unevaluated_operator_can_be_matched(answer: str, gold: str) -> None:
    assert verdict(answer, gold) == "correct"


@pytest.mark.parametrize("answer", ["x=3=5", "3=5", "x = 5 = 3 = 5", r"\{x=3=5\}", "(3=5)", "a=3=5, b=5", "x==3==5"])
def test_equation_chain_with_members_that_differ_is_wrong(answer: str) -> None:
    assert verdict(answer, "5") == "wrong"


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        (r"\{1,2\}", "(1,2)", "wrong"),
        ("{1,2}", "(1,2)", "wrong"),
        (r"\lbrace 1, 2 \rbrace", "(1,2)", "wrong"),
        ("(1,2)", r"\{1,2\}", "wrong"),
        (r"\{2,1\}", r"\{1,2\}", "correct"),
        ("(1,2)", "(1,2)", "correct"),
        (r"\{(3,2),(1,1)\}", "(1,1),(3,2)", "correct"),
    ],
)
def test_set_is_not_a_tuple(answer: str, gold: str, expected: str) -> None:
    assert verdict(answer, gold) == expected


@pytest.mark.parametrize(
    ("answer", "gold", "expected"),
    [
        (r"10\%", "0.1", "correct"),
        (r"10\%", r"\frac{1}{10}", "correct"),
        (r"10\%", "10", "correct"),
        ("10 percent", "10.0", "correct"),
        (r"10\%", r"10 \%", "correct"),
        ("62.5", "62.5%", "correct"),
        ("0.625", "62.5%", "correct"),
        ("8%", r"$8 \%$", "correct"),
        (r"0.1\%", "0.1", "wrong"),
        (r"1000\%", "10", "wrong"),
        (r"150\%", "1.5", "wrong"),
        ("6.25", "62.5%", "wrong"),
        (r"9\%", "10", "wrong"),
        (r"\sqrt{2}\%", r"\frac{\sqrt{2}}{100}", "correct"),
        (r"\sqrt{2}\%", r"\sqrt{2}", "wrong"),
        (r"10\%, 20\%", "10, 20", "correct"),
        (r"1\%", "1", "wrong"),
        (r"100\%", "1", "correct"),
        (r"10\%, 20\%", "0.1, 0.2", "correct"),
        (r"20\%, 10\%", r"10\%, 20\%", "correct"),
    ],
)
def test_percentage_has_one_reading_for_each_gold(answer: str, gold: str, expected: str) -> None:
    assert verdict(answer, gold) == expected


@pytest.mark.parametrize(
    ("answer", "gold"),
    [(r"2 \times 10^{-8}", "1e-8"), ("0", "1e-8"), (r"2.1\times 10^{-9}\pi", r"1.1\times 10^{-9}\pi")],
)
def test_tiny_numbers_do_not_all_round_to_the_same(answer: str, gold: str) -> None:
    assert verdict(answer, gold) == "wrong"


@pytest.mark.parametrize("answer", ["7^{7^{7^7}}", "7^7^7^7", "10000000!", r"\left(9!\right)!", "2**(10**9)"])
def test_out_of_reach_values_are_not_evaluated(answer: str) -> None:
    name, detail = compare(answer, "5", CONFIG)
    assert name == "timeout"
    assert "not evaluated" in detail


@pytest.mark.parametrize(
    ("answer", "gold"),
    [("2^{2^{10}}", "2^{1024}"), ("10^{10^{9}}", "10^{10^9}"), (r"\frac{100!}{2^{50}}", "100!/2^{50}")],
)
def test_large_but_reachable_values_are_compared(answer: str, gold: str) -> None:
    assert verdict(answer, gold) == "correct"


def test_gold_that_does_not_parse_is_an_error_and_not_a_wrong_answer() -> None:
    name, detail = compare("7", r"\frac{1}{", CONFIG)
    assert name == "error"
    assert "gold does not parse" in detail


def test_gold_that_does_not_parse_still_matches_the_same_text() -> None:
    assert verdict(r"m_{\max} = n^{2}-n-1", r"$m_{\max }=n^{2}-n-1$") == "correct"


def test_overlong_answer_is_unparsed() -> None:
    assert verdict("1" * 3000, "5") == "unparsed"


def test_answer_that_is_no_mathematics_is_unparsed() -> None:
    assert verdict(r"\frac{1}{", "5") == "unparsed"


def test_grade_reports_what_it_extracted() -> None:
    assert grade(r"Thus \boxed{\frac{1}{2}}.", "0.5", CONFIG).extracted == r"\frac{1}{2}"
    assert grade(r"Thus \boxed{\frac{1}{2}}.", "0.5", CONFIG).rule == "number"
    assert grade("I do not know", "0.5", CONFIG).extracted is None


def test_rules_that_are_left_out_for_plain_amounts_would_not_have_decided(monkeypatch: pytest.MonkeyPatch) -> None:
    draw = random.Random(0)
    numbers = [0, 1, 12, 999, 1_000, 1_234_567, 12.5]
    signs, marks, layouts = ["", "-", "+"], ["", "$", r"\$"], ["{:,}", "{}", "{:.2f}"]
    amounts = [
        draw.choice(signs) + draw.choice(marks) + draw.choice(layouts).format(number)
        for number in draw.choices(numbers, k=80)
    ]
    pairs = list(zip(amounts[:40], amounts[40:], strict=True))
    assert all(grading.is_amount(text) for text in amounts)
    quick = [compare(*pair, CONFIG) for pair in pairs]
    monkeypatch.setattr(grading, "is_amount", lambda text: False)
    assert quick == [compare.__wrapped__(*pair, CONFIG) for pair in pairs]
    assert {name for name, _ in quick} == {"correct", "wrong"}
