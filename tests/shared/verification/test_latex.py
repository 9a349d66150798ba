r"""The own reader reads as the grammar does, and values at points never refuse what is equal."""

import os
import random
import subprocess
import sys

import pytest
from math_verify import parse, verify

from tasks.shared.verification.algebra import _TARGETS, Parsed, equal, parse_answer, with_imaginary_unit
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.latex.reader import read
from tasks.shared.verification.latex.refutation import refuted
from tasks.shared.verification.latex.tree import Node
from tests.bench.verifier_answers import KINDS
from tests.support.paths import ROOT

CONFIG = VerificationConfig()
READ = (
    "n(n-1)", "2x(x+1)", "f(x)", "e^{2}", "2i+3", "xy", r"\pi r^2", "AB", "a_1", "x_{10}", r"\sin 2x y", r"\sin(x)+1",
    r"\sin^2 x", r"\cos\theta\sin\theta", r"\log 2", r"\log_{10} 3x", r"\ln(2)x", "x!y", "1/2x", "x/2y", "2/3/4",
    "-2^2",
    "2^3x", "x^23", "(n-2)2^n", r"\sqrt[3]{2}", r"\sqrt{2}\sqrt{3}", "|x-1|+|x+2|", "2|x|", r"\binom{n+1}{2}x", "(3,1)",
    "[1,2)", "(x+1,2)", r"(-\infty,2)\cup(3,4]", r"x \in [1,2]", r"\{\frac12,3\}", "(1,2),(3,4)", "x=1,y=2",
    r"x\geq\frac{1}{2}", r"\begin{pmatrix}x&-1\\\frac12&\sqrt2\end{pmatrix}", r"1\pm 2, 3", r"\pm\sqrt{3}", r"90^\circ",
    "1.5x", "3.50", r"(1+i)^2", r"e^{-x/2}", "x^2y^3", r"\frac{3x}{4}\frac{1}{2}", r"\lfloor n/2 \rfloor", "1,2,3",
)  # fmt: skip
LEFT_TO_THE_GRAMMAR = (
    r"2\frac{1}{2}", "3 4", "1,000", "E", r"\tan^{-1} x", "2(3)", "(2)(3)", "dx", "3(x)(y)", r"100\%", "1:2", "(x",
    "x)",
    "", r"\text{cm}", r"\int_0^1 x dx", "a--b", "a^b^c", r"\frac{1}{0}", "007", "x_12", r"\sin x / 2", r"\unknown{x}",
)  # fmt: skip
EQUAL = (
    (r"\sqrt{x^2}", "x"), (r"\sqrt{12}", r"2\sqrt{3}"), (r"\frac{1}{\sqrt{2}+1}", r"\sqrt{2}-1"),
    ("10^{20}+1-10^{20}", "1"),
    (r"\sin^2 x", r"1-\cos^2 x"), (r"\ln(xy)", r"\ln x+\ln y"), (r"\sqrt{3+2\sqrt{2}}", r"1+\sqrt{2}"),
    (r"\arctan 1", r"\frac{\pi}{4}"), (r"\arcsin 1", r"\frac{\pi}{2}"), ("x^{0.5}", r"\sqrt{x}"), ("(-8)^{1/3}", "-2"),
    (r"\sqrt[3]{-8}", "-2"), (r"\frac{x^2-1}{x-1}", "x+1"), (r"\tan\frac{\pi}{2}-\tan\frac{\pi}{2}", "0"),
    ("i^2", "-1"),
    (r"\frac{1+i}{1-i}", "i"), ("1, 2, 3", r"\{3,2,1\}"), (r"1 \pm \sqrt{2}", r"1-\sqrt{2}, 1+\sqrt{2}"), ("x=5", "5"),
    ("0.333333", r"\frac{1}{3}"), ("1.4142136", r"\sqrt{2}"), ("(1,2)", "1, 2"), (r"\{x\}", "x"), ("2x<4", "x<2"),
    ("4>2x", "x<2"), (r"\frac{x^{200}}{x^{199}}", "x"), ("(x+y)^{900}-(x+y)^{900}+1", "1"),
    (r"\cosh x", r"\frac{e^x+e^{-x}}{2}"),
    (r"\log_2 8", "3"), (r"e^{i\pi}", "-1"), (r"\sqrt{x}\sqrt{x}", "x"), (r"\sec x", r"\frac{1}{\cos x}"), 
    (r"(x-10^{9})(x+10^{9})", "x^2-10^{18}"), (r"\cos(10^{8}\pi)", "1"), (r"\frac{e^{40}+1}{e^{40}}", "1+e^{-40}"),
    (r"x^{4000}y^{4000}", "(xy)^{4000}"), (r"10^{-200} \cdot 10^{-200} \cdot 10^{300}", "10^{-100}"),
    ("y=2x+3", "y=3+2x"),
    ("[0,\\infty)",
    "[0,\\infty)"), (r"\binom{5}{2}", "10"), (r"\lfloor 2.999999999999999999 \rfloor", r"\lfloor 2.5 \rfloor"),
)  # fmt: skip
DIFFERENT = (
    (r"\sqrt{2}", r"\sqrt{3}"), ("x+1", "x-1"), (r"\sin x", r"\cos x"), ("(1,2)", "(2,1)"), ("1, 2, 3", "1, 2, 4"),
    (r"\frac{\pi}{2}", r"\frac{\pi}{3}"), (r"\begin{pmatrix}1&2\end{pmatrix}", r"\begin{pmatrix}1&3\end{pmatrix}"),
    ("x=5", "6"), ("y=2x+3", "y=2x-3"), ("x<2", "x>2"), (r"x^5-3x^4+\sin x>0", r"x^5-3x^4+\cos x>0"), ("2+3i", "2-3i"),
    ("(x+y+z+w)^{4321}", "37"), ("1.41", r"\sqrt{2}"), (r"1 \pm \sqrt{2}", r"1+\sqrt{2}"), ("[1,2]", "[1,3]"),
)  # fmt: skip


def tree(text: str) -> Node:
    parsed = parse_answer(text).tree
    assert parsed is not None, text
    return parsed


@pytest.mark.parametrize("text", READ)
def test_reader_reads_as_the_grammar_does(text: str) -> None:
    own = parse_answer(text)
    assert own.tree is not None
    parsed = parse(rf"\boxed{{{text}}}", extraction_config=_TARGETS, fallback_mode="no_fallback", parsing_timeout=None)
    grammar = [with_imaginary_unit(item) for item in parsed]
    assert verify(grammar, own.objects, timeout_seconds=None)
    assert verify(own.objects, grammar, timeout_seconds=None)


@pytest.mark.parametrize("text", LEFT_TO_THE_GRAMMAR)
def test_what_is_not_surely_in_the_subset_is_left_to_the_grammar(text: str) -> None:
    assert read(text) is None


def test_reader_gives_up_on_any_garbage_without_an_error() -> None:
    draw = random.Random(0)
    pieces = [r"\frac", "{", "}", "(", ")", "[", "]", "|", "^", "_", "x", "2", ".", ",", r"\sqrt", "-", r"\pm",
    r"\sin", "!",
              r"\begin{pmatrix}", r"\end{pmatrix}", r"\\", "&", "=", "<", r"\in", r"\cup", r"\{", r"\}", " ", "é",
              "\0"]  # fmt: skip
    for _ in range(3_000):
        read("".join(draw.choices(pieces, k=draw.randint(1, 14))))
    assert read("(" * 3_000 + "x" + ")" * 3_000) is None


@pytest.mark.parametrize(("one", "other"), EQUAL)
def test_equal_values_are_never_refuted(one: str, other: str) -> None:
    assert not refuted(tree(one), tree(other), 6)
    assert not refuted(tree(other), tree(one), 6)


def test_no_rewritten_gold_is_refuted_and_every_perturbed_one_is() -> None:
    draw = random.Random(7)
    refusals, decided, count = [], 0, 0
    for kind in KINDS:
        for _ in range(40):
            gold, rewritten, perturbed = (parse_answer(text).tree for text in kind(draw))
            if None not in (gold, rewritten, perturbed):
                refusals += [(gold, rewritten)] if refuted(gold, rewritten, 6) or refuted(rewritten, gold, 6) else []
                decided += refuted(gold, perturbed, 6)
                count += 1
    assert refusals == []
    assert decided >= 0.85 * count


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_other_values_are_refuted_without_algebra(one: str, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parsed, "objects", property(lambda self: pytest.fail("SymPy was asked")))
    assert not equal(parse_answer(one), parse_answer(other), CONFIG)


def test_points_are_the_same_in_every_process() -> None:
    code = (
        "from tasks.shared.verification.latex.values import coordinate; print(coordinate('x', 0), coordinate('y', 3))"
    )
    printed = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("0", "1")
    }
    assert len(printed) == 1
