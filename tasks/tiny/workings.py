"""The small steps that lead to a number of a solution: what useful thinking writes down.

A number stands either behind its own equation (`61+38+57=156`), or it follows from the question alone
(`x=42`). Both are an expression of numbers in the context, and an expression is worked out by jumps that the
model does well: `61+38=99`, `99+57=156`.
"""

import ast
import re
from collections.abc import Callable
from dataclasses import dataclass

from tasks.tiny.problems import Numbers, Problem

OPERATORS: dict[type[ast.operator], tuple[str, Callable[[int, int], int]]] = {
    ast.Add: ("+", lambda a, b: a + b),
    ast.Sub: ("-", lambda a, b: a - b),
    ast.Mult: ("*", lambda a, b: a * b),
    ast.Div: ("/", lambda a, b: a // b),
}
EQUATION = re.compile(r"(?:^|[ =])(\d[\d+*/()-]*[+*/-][\d+*/()-]*)=$")
NUMBER = re.compile(r"\d+")


@dataclass(frozen=True)
class WorkingStep:
    """One small equation; `easy` ones (facts of the multiplication table) are left out of compact work."""

    left: int
    sign: str
    right: int
    value: int
    easy: bool = False

    @property
    def text(self) -> str:
        """The step as an equation."""
        return f"{self.left}{self.sign}{self.right}={self.value}"

    @property
    def check(self) -> str:
        """The inverse equation."""
        match self.sign:
            case "+":
                return f"{self.value}-{self.right}={self.left}"
            case "-":
                return f"{self.value}+{self.right}={self.left}"
            case "/":
                return f"{self.value}*{self.right}={self.left}"
        return f"{self.value}/{self.right}={self.left}"


def steps_of(expression: str) -> list[WorkingStep]:
    """Work out a whole-number expression of + - * / and parentheses by small steps, the last gives its value."""
    return _work(ast.parse(expression, mode="eval").body)[1]


def _work(node: ast.expr) -> tuple[int, list[WorkingStep]]:
    if isinstance(node, ast.Constant) and isinstance(node.value, int):
        return node.value, []
    if not isinstance(node, ast.BinOp) or type(node.op) not in OPERATORS:
        raise ValueError(f"not an expression of whole numbers: {ast.unparse(node)}")
    (left, before), (right, more) = _work(node.left), _work(node.right)
    sign, apply = OPERATORS[type(node.op)]
    steps = _product(left, right) if sign == "*" else [_step(left, sign, right, apply(left, right))]
    return steps[-1].value, [*before, *more, *steps]


def _step(left: int, sign: str, right: int, value: int) -> WorkingStep:
    return WorkingStep(left, sign, right, value, easy=left < 10 and right < 10 and sign in "+-")


def _product(left: int, right: int) -> list[WorkingStep]:
    """A product of a one-digit number, by tens and ones, or by way of the next hundred."""
    if left < 10 or left % (100 if left > 99 else 10) == 0:
        return [WorkingStep(left, "*", right, left * right)]
    if left > 99 or left % 10 > 6:
        unit = 100 if left > 99 else 10
        up = -(-left // unit) * unit
        parts = [
            WorkingStep(up, "*", right, up * right, easy=unit == 100),
            WorkingStep(up - left, "*", right, (up - left) * right, easy=True),
        ]
        return [*parts, WorkingStep(up * right, "-", (up - left) * right, left * right)]
    tens = left // 10 * 10
    parts = [
        WorkingStep(tens, "*", right, tens * right),
        WorkingStep(left - tens, "*", right, (left - tens) * right, easy=True),
    ]
    return [*parts, WorkingStep(tens * right, "+", (left - tens) * right, left * right)]


Unknowns = Callable[[Numbers], list[tuple[int, str]]]


def _near_unknowns(n: Numbers) -> list[tuple[int, str]]:
    return [(n[0] * n[1] + n[2], f"{n[0]}*{n[1]}+{n[2]}"), (n[0] * n[1], f"{n[0]}*{n[1]}")]


def _start_unknowns(n: Numbers) -> list[tuple[int, str]]:
    y = n[0] - n[1] + n[2]
    return [
        (n[0], f"{y}-{n[2]}+{n[1]}"),
        (n[0] - n[1], f"{y}-{n[2]}"),
        (abs(n[1] - n[2]), f"{max(n[1:])}-{min(n[1:])}"),
    ]


def _think_unknowns(n: Numbers) -> list[tuple[int, str]]:
    y = n[0] * n[1] + n[2]
    return [(n[1], f"({y}-{n[2]})/{n[0]}"), (n[0] * n[1], f"{y}-{n[2]}")]


def _ratio_unknowns(n: Numbers) -> list[tuple[int, str]]:
    small = f"{(n[0] + 1) * n[1]}/({n[0]}+1)"
    return [(n[1] + n[2], f"{small}+{n[2]}"), (n[1], small), (n[0] * n[1], f"{small}*{n[0]}")]


def _diff_unknowns(n: Numbers) -> list[tuple[int, str]]:
    total = 2 * n[0] + n[1]
    return [(n[0] + n[1], f"({total}+{n[1]})/2"), (n[0], f"({total}-{n[1]})/2"), (total + n[1], f"{total}+{n[1]}")]


def _swap_unknowns(n: Numbers) -> list[tuple[int, str]]:
    y = n[0] + n[1] - n[2]
    return [(n[0], f"{y}+{n[2]}-{n[1]}"), (n[0] + n[1], f"{y}+{n[2]}")]


# Family -> the numbers that the question does not give, each with its expression; the answer is the first.
UNKNOWNS: dict[str, Unknowns] = {
    "sum": lambda n: [(sum(n), f"{n[0]}+{n[1]}+{n[2]}"), (n[0] + n[1], f"{n[0]}+{n[1]}")],
    "prod": lambda n: [(n[0] * n[1], f"{n[0]}*{n[1]}")],
    "near": _near_unknowns,
    "start": _start_unknowns,
    "think": _think_unknowns,
    "ratio": _ratio_unknowns,
    "diff": _diff_unknowns,
    "swap": _swap_unknowns,
    "loose": _near_unknowns,
    "wide": _think_unknowns,
}


def expression_for(problem: Problem, before: str, value: int) -> str | None:
    """The expression of `value`, which stands in the solution right after the text `before`.

    None when nothing has to be worked out: the number was stated before, in the question or in the solution,
    or is a constant of the style.
    """
    if equation := EQUATION.search(before):
        return equation.group(1)
    if str(value) in NUMBER.findall(before) or str(value) in NUMBER.findall(problem.question):
        return None
    unknowns = UNKNOWNS[problem.family](problem.numbers)
    answer, whole = unknowns[0]
    # A guess states the tens of the answer first, then what is missing.
    parts = [(answer // 10 * 10, whole), (answer % 10, whole)] if before.startswith(" Guess") else []
    return next((expression for known, expression in (*unknowns, *parts) if known == value), None)
