r"""Recognise expressions whose exact value is out of reach, before an algebra system is set to work on them.

Only numerals are judged: ``7^{7^{7^7}}`` and ``10000000!``, not ``x^{y^z}``. The limits leave every gold
answer of the common benchmarks (``2^{1009}``, ``10^{100}``, ``100!/2^{50}``) far inside. What passes here
and is still too slow meets the time limit of the grader process.
"""

import ast
import operator
import re
from itertools import accumulate

MAX_EXPONENT = 1_000_000
MAX_FACTORIAL = 20_000
MAX_NESTED_FACTORIAL = 7
MAX_NESTING = 50
"""Depth of brackets: the LaTeX grammar needs seconds at 200 levels."""

_FACTORIAL = re.compile(r"(\d+)\)*!")
_NESTED_FACTORIAL = re.compile(r"(\d+)!\)+!")
_NUMERAL = re.compile(r"\d+")
_SPELLING = (
    (r"\left", ""),
    (r"\right", ""),
    (r"\cdot", "*"),
    (r"\times", "*"),
    ("{", "("),
    ("}", ")"),
    ("**", "^"),
    (" ", ""),
)
_OPERATORS = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
}


def too_costly(text: str) -> str | None:
    """Reason why `text` is refused unseen, or None."""
    if _nesting(text) > MAX_NESTING:
        return f"brackets nested more than {MAX_NESTING} deep"
    if "^" not in text and "!" not in text and "**" not in text:
        return None
    plain = text
    for spelled, meant in _SPELLING:
        plain = plain.replace(spelled, meant)
    if _largest(_NESTED_FACTORIAL, plain) > MAX_NESTED_FACTORIAL:
        return f"nested factorial of more than {MAX_NESTED_FACTORIAL}"
    if _largest(_FACTORIAL, plain) > MAX_FACTORIAL:
        return f"factorial of more than {MAX_FACTORIAL}"
    exponents = (_exponent(plain, match.end()) for match in re.finditer(r"\^", plain))
    if any((_evaluate(exponent) or 0.0) > MAX_EXPONENT for exponent in exponents):
        return f"power with an exponent above {MAX_EXPONENT}"
    return None


def _nesting(text: str) -> int:
    steps = ((character in "([{") - (character in ")]}") for character in text)
    return max(accumulate(steps), default=0)


def _largest(pattern: re.Pattern[str], text: str) -> int:
    # Ten digits are beyond every limit, and the conversion of very long numerals is refused by Python.
    return max((int(digits[:10]) for digits in pattern.findall(text)), default=0)


def _exponent(text: str, start: int) -> str:
    """The exponent that begins at `start`: a parenthesised group or a numeral, with the tower that follows
    it.
    """
    if text.startswith("(", start):
        depth, end = 0, start
        while end < len(text):
            depth += (text[end] == "(") - (text[end] == ")")
            end += 1
            if depth == 0:
                break
    else:
        numeral = _NUMERAL.match(text, start)
        end = numeral.end() if numeral else start + 1
    if text.startswith("^", end):
        return text[start:end] + "^" + _exponent(text, end + 1)
    return text[start:end]


def _evaluate(exponent: str) -> float | None:
    """Value of plain arithmetic, infinite where a float overflows; None where it is anything else."""
    try:
        tree = ast.parse(exponent.replace("^", "**").lstrip("0") or "0", mode="eval")
        return float(_walk(tree.body))
    except OverflowError:
        return float("inf")
    except (ValueError, SyntaxError, TypeError, ZeroDivisionError, RecursionError, MemoryError):
        return None


def _walk(node: ast.expr) -> float:
    match node:
        case ast.Constant(value=int() | float() as value):
            return float(value)
        case ast.BinOp(left=left, op=action, right=right) if type(action) in _OPERATORS:
            return _OPERATORS[type(action)](_walk(left), _walk(right))
        case ast.UnaryOp(op=action, operand=operand) if type(action) in _OPERATORS:
            return _OPERATORS[type(action)](_walk(operand))
    raise ValueError("not plain arithmetic")
