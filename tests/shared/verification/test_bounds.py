"""Expensive answers of every known kind are decided within a second of CPU time, and text work is linear."""

import time
from collections.abc import Callable
from itertools import cycle

import pytest

from tasks.shared.verification import forms
from tasks.shared.verification.extraction import extract_answer
from tasks.shared.verification.latex.cost import too_costly
from tasks.shared.verification.pool import VerifierPool
from tests.bench.verifier_answers import HOSTILE

COSTLY = (
    "9^9^9^9^9", "9^" * 900 + "9", r"\log_2(9^{9^{9^{9}}})", "e^{e^{e^{e^e}}}", r"\pi^{\pi^{\pi^\pi}}",
    "10^{-100000000}",
    r"2^{\frac{10^9}{3}}", "2^-1000000000", "3^{999999}-3^{999999}+3", "(10^7)!", r"\Gamma(10000001)",
    r"\Gamma{(10^7)}",
    r"\binom{10^9}{5\cdot 10^8}", r"{1000000000 \choose 500000000}", r"\sqrt{1+" * 45 + "2" + "}" * 45,
    "x_{" * 30 + "1" + "}" * 30, "|" * 200 + "x" + "|" * 200, "(" * 900 + "1" + ")" * 900,
    r"\begin{pmatrix}" + r"\\".join("&".join("x" * 8) for _ in range(8)) + r"\end{pmatrix}^{20}",
)  # fmt: skip
REACHABLE = (
    "2^{1009}", "10^{100}", "100!/2^{50}", r"\binom{10^9}{2}", r"\binom{n}{k}", "e^{e^{e}}", "x^{y^z}", "(2n)!",
    "1^1^1",
    r"\frac{1}{1+\frac{1}{1+\frac{1}{2}}}", r"x^{-\frac{1}{2}}", r"\sum_{k=1}^{1000000} k", r"|x-1|+|x+1|", "x_{n_{1}}",
)  # fmt: skip


@pytest.mark.parametrize("text", COSTLY)
def test_value_out_of_reach_is_recognised_unseen(text: str) -> None:
    assert too_costly(text)


@pytest.mark.parametrize("text", REACHABLE)
def test_value_within_reach_is_not_refused(text: str) -> None:
    assert too_costly(text) is None


@pytest.mark.parametrize(
    ("work", "text"),
    [
        (forms.for_algebra, "1"),
        (too_costly, "9^"),
        (too_costly, "(2)^"),
        (extract_answer, "\\boxed{"),
        (extract_answer, "\\boxed{}{"),
        (extract_answer, "\\boxed{ }"),
    ],
    ids=["e-notation", "tower", "tower of groups", "unclosed boxes", "empty boxes", "blank boxes"],
)
def test_text_work_is_no_worse_than_quadratic_in_the_length(work: Callable[[str], object], text: str) -> None:
    """Four times the length takes at most thirty times as long; the cubic searches of old took sixty-four times."""

    def seconds(repeats: int) -> float:
        long = text * repeats
        best = float("inf")
        for _ in range(3):
            began = time.thread_time()
            work(long)
            best = min(best, time.thread_time() - began)
        return best

    assert seconds(2_000) < 30 * seconds(500) + 0.01


@pytest.mark.parametrize("gold", ["37", r"22\frac{2}{7} x"])
def test_hostile_answers_cost_their_neighbours_less_than_a_second_each(gold: str) -> None:
    hostile = [(rf"\boxed{{{make(seed)}}}", gold) for make, seed in zip(HOSTILE, cycle((7, 4_321)))]
    with VerifierPool(num_workers=1) as pool:
        verdicts = pool.verify([pair for row in hostile for pair in (row, ("#### 5", "5"))])
    assert {verdict.verdict for verdict in verdicts[1::2]} == {"correct"}
    for (answer, _), verdict in zip(hostile, verdicts[::2], strict=True):
        assert verdict.verdict != "correct", answer[:80]
        assert verdict.seconds <= 1.0, answer[:80]
