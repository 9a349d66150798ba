r"""Recognise expressions whose exact value is out of reach, before an algebra system is set to work on them.

Only what plain arithmetic decides is judged: ``7^{7^{7^7}}``, ``10000000!``, ``\binom{10^9}{10^8}``, ``e^{e^{e^e}}``,
not ``x^{y^z}``. The limits leave every gold answer of the common benchmarks (``2^{1009}``, ``10^{100}``,
``100!/2^{50}``) far inside. What passes here and is still too slow meets the time limit of the grader process.
"""

import ast
import math
import operator
import re
from collections.abc import Iterator

MAX_EXPONENT = 100_000
MAX_FACTORIAL = 20_000
MAX_NESTED_FACTORIAL = 7
MAX_NESTING = 15
"""Depth of brackets, where an index or exponent counts as `SCRIPT_DEPTH`: the LaTeX grammar's time grows with it."""
SCRIPT_DEPTH = 3
MAX_CELLS = 16
"""Cells of a matrix that is raised to a power."""

_NESTED_FACTORIAL = re.compile(r"(\d+)!\)+!")
_OPERAND = re.compile(r"\d+(?=!)")
_NUMERAL = re.compile(r"-?\d+|e(?![A-Za-z])|\\pi(?![A-Za-z])")
_GAMMA = re.compile(r"\\?[Gg]amma\)?\(*(?=\d)")
_BINOMIAL = re.compile(r"\\[dt]?binom(?=\()")
_CHOOSE = re.compile(r"\(([^()]*(?:\([^()]*\)[^()]*)*)\\choose([^()]*(?:\([^()]*\)[^()]*)*)\)")
_FRACTION = re.compile(r"\\[dtc]?frac(\([^()]*\))(\([^()]*\))")
_MATRIX_POWER = re.compile(r"\\begin\{[a-zA-Z]*matrix\}(.*?)\\end\{[a-zA-Z]*matrix\}\s*\)?\s*\^", re.DOTALL)
_UPPER_LIMIT = re.compile(r"(\\(?:sum|prod|i*nt)(?:\\limits)?(?:_\([^()]*\)|_\w)?)\^")
_CONSTANTS = ((re.compile(r"(?<![A-Za-z\\.\d])e(?![A-Za-z])"), f"({math.e})"), (re.compile(r"\\pi"), f"({math.pi})"))
_SPELLING = (
    (r"\left", ""),
    (r"\right", ""),
    (r"\cdot", "*"),
    (r"\times", "*"),
    (r"\,", ""),
    (r"\!", ""),
    ("{", "("),
    ("}", ")"),
    ("**", "^"),
    ("$", ""),
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
    """Reason why `text` is refused unseen, or None. Linear in the length of the text but for towers of powers."""
    if _nesting(text) > MAX_NESTING:
        return "brackets, indices or exponents nested too deep"
    if any(cells.count("&") > MAX_CELLS for cells in _MATRIX_POWER.findall(text)):
        return "power of a large matrix"
    if not any(sign in text for sign in ("^", "!", "**", "amma", "binom", "choose")):
        return None
    plain = text
    for spelled, meant in _SPELLING:
        plain = plain.replace(spelled, meant)
    plain = _UPPER_LIMIT.sub(r"\1 ", plain)
    if max((_size(digits) for digits in _NESTED_FACTORIAL.findall(plain)), default=0) > MAX_NESTED_FACTORIAL:
        return f"nested factorial of more than {MAX_NESTED_FACTORIAL}"
    if any(value > MAX_FACTORIAL for value in _factorial_arguments(plain)):
        return f"factorial of more than {MAX_FACTORIAL}"
    if any(value > MAX_FACTORIAL for value in _smaller_parts_of_binomials(plain)):
        return f"binomial coefficient of more than {MAX_FACTORIAL} factors"
    if any(abs(value) > MAX_EXPONENT for value in _exponents(plain)):
        return f"power with an exponent above {MAX_EXPONENT}"
    return None


def _nesting(text: str) -> int:
    """Deepest nesting, counted on through what is never closed; bars count as half a bracket each."""
    depth, deepest, before = [0], text.count("|") // 2, ""
    for character in text:
        if character in "([{":
            depth.append(depth[-1] + (SCRIPT_DEPTH if before in ("^", "_") else 1))
            deepest = max(deepest, depth[-1])
        elif character in ")]}" and len(depth) > 1:
            depth.pop()
        before = character if character != " " else before
    return deepest


def _size(digits: str) -> int:
    # Ten digits are beyond every limit, and the conversion of very long numerals is refused by Python.
    return int(digits[:10])


def _factorial_arguments(plain: str) -> Iterator[float]:
    for match in _OPERAND.finditer(plain):
        yield _size(match.group())
    for match in re.finditer(r"\)!", plain):
        yield _evaluate(_group_before(plain, match.start() + 1)) or 0.0
    for match in _GAMMA.finditer(plain):
        yield _evaluate(_leading_arithmetic(plain, match.end())) or 0.0


def _smaller_parts_of_binomials(plain: str) -> Iterator[float]:
    pairs = [match.groups() for match in _CHOOSE.finditer(plain)]
    for match in _BINOMIAL.finditer(plain):
        upper = _group(plain, match.end())
        pairs.append((upper, _group(plain, match.end() + len(upper))))
    for upper, lower in pairs:
        whole, part = _evaluate(upper), _evaluate(lower)
        if whole is not None and part is not None:
            yield min(abs(part), abs(whole - part))


def _group(text: str, start: int) -> str:
    """The parenthesised group that opens at `start`, or what is left of the text where it is never closed."""
    depth = 0
    for end in range(start, len(text)):
        depth += (text[end] == "(") - (text[end] == ")")
        if depth == 0:
            return text[start : end + 1]
    return text[start:]


def _group_before(text: str, end: int) -> str:
    depth = 0
    for start in range(end - 1, -1, -1):
        depth += (text[start] == ")") - (text[start] == "(")
        if depth == 0:
            return text[start:end]
    return text[:end]


def _leading_arithmetic(text: str, start: int) -> str:
    match = re.compile(r"[\d.^*+/()-]+").match(text, start)
    arithmetic = match.group() if match else ""
    return arithmetic[: len(arithmetic) - max(0, arithmetic.count(")") - arithmetic.count("("))]


def _exponents(plain: str) -> Iterator[float]:
    """Values of all exponents that are plain arithmetic; of a tower without brackets that of the lowest one only."""
    passed = 0
    for match in re.finditer(r"\^", plain):
        if match.start() >= passed:
            parts = [_exponent(plain, match.end())]
            end = match.end() + len(parts[0])
            while plain.startswith("^", end):
                parts.append(_exponent(plain, end + 1))
                end += 1 + len(parts[-1])
            # Those inside the brackets of a part are looked at again, on their own.
            passed = match.end() if any("(" in part for part in parts) else end
            value = _tower(parts)
            if value is not None:
                yield value


def _exponent(text: str, start: int) -> str:
    """The exponent that begins at `start`: a group, a numeral or a constant."""
    if text.startswith("(", start):
        return _group(text, start)
    numeral = _NUMERAL.match(text, start)
    return numeral.group() if numeral else text[start : start + 1]


def _tower(parts: list[str]) -> float | None:
    value = 1.0
    for part in reversed(parts):
        base = _evaluate(part)
        if base is None:
            return None
        try:
            value = base**value
        except (OverflowError, ZeroDivisionError):
            value = math.inf
        if isinstance(value, complex):
            return None
    return value


def _evaluate(arithmetic: str) -> float | None:
    """Value of plain arithmetic, infinite where a float overflows; None where it is anything else."""
    plain = _FRACTION.sub(r"(\1/\2)", arithmetic)
    for constant, value in _CONSTANTS:
        plain = constant.sub(value, plain)
    try:
        tree = ast.parse(plain.replace("^", "**").lstrip("0") or "0", mode="eval")
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
