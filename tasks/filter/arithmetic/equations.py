r"""Whether the equations in a text hold: each ``a op b = c`` is recomputed exactly.

An equation is read from its sign to both sides: on the left the longest expression that ends there, on the right the
longest that begins there; prose before and behind does not matter. Chains (``6 + 4 = 10 = 5 * 2``) are pairs, and in a
running one (``2 + 3 = 5 + 1 = 6``) the first number behind a sign counts as well. One side must have an operation, or
there is nothing to check; what holds a variable, a function or another unit (2 hours + 30 minutes) is not checked.

A number with decimals may be rounded, or cut, to the digits that are written; one behind ``\approx`` to its last digit
that is not 0. With ``=`` whole numbers are exact. 25% is 25/100 or 25, 50 cents are 0.5 or 50: an equation holds if it
does with all its numbers read in one of the two ways.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction

from tasks.filter.arithmetic.expressions import EquationReader, NoExpression, Reading, has_worth
from tasks.filter.arithmetic.tokens import Kind, Token, annotations, tokenize

MOST_EQUATIONS = 200
"""Equations of a text that are looked at. Ours."""
LONGEST_SIDE = 40
"""Tokens of a side that are looked at. Ours."""
_BINDING = (Kind.OPERATOR, Kind.UNKNOWN, Kind.CLOSE, Kind.FRAC, Kind.NUMBER)
_BINDING_WORDS = {"than", "of", "over", "twice", "half", "double", "root", "sqrt", "sin", "cos", "tan", "log", "ln"}
"""What may not stand directly before an expression: it would be a part of it."""


@dataclass(frozen=True)
class Arithmetic:
    """Equations of a text that could be checked, and those of them that hold."""

    checked: int
    holding: int

    @property
    def score(self) -> float | None:
        """Share of the checked equations that hold; None where nothing could be checked."""
        return self.holding / self.checked if self.checked else None


def check(text: str) -> Arithmetic:
    """Recompute the equations of a text, those in GSM8K's calculator marks too."""
    plain, marked = annotations(text)
    results = [result for part in (plain, *marked[:MOST_EQUATIONS]) for result in _results(tokenize(part))]
    return Arithmetic(len(results), sum(results))


@dataclass(frozen=True)
class _Equation:
    """A sign and the tokens on its sides."""

    left: Sequence[Token]
    sign: Token
    right: Sequence[Token]
    goes_on: bool
    """Whether another sign stands at the end of the right side."""

    def holds(self, worth: bool) -> bool | None:
        """Whether it does under one reading; None where it cannot be checked."""
        left, right = _left(self.left, worth), _right(self.right, worth)
        if left is None or right is None or not (left.operations or right.operations):
            return None
        about = self.sign.text == "≈"
        mixed = len(left.units | right.units) > 1 and (left.adds or right.adds)
        mixed = mixed or bool(left.units and right.units and left.units.isdisjoint(right.units))
        if mixed or (about and not (left.literal or right.literal)):
            return None
        return _agree(left, right, about) or (self.goes_on and _goes_over(left, right, about, worth))


def _results(tokens: Sequence[Token]) -> Iterator[bool]:
    readings = (True, False) if any(map(has_worth, tokens)) else (True,)
    for equation in _equations(tokens):
        results = [equation.holds(worth) for worth in readings]
        if None not in results:
            yield any(results)


def _equations(tokens: Sequence[Token]) -> Iterator[_Equation]:
    ends = [place for place, token in enumerate(tokens) if token.kind in (Kind.EQUALS, Kind.BREAK)]
    signs = [number for number, place in enumerate(ends) if tokens[place].kind is Kind.EQUALS]
    for number in signs[:MOST_EQUATIONS]:
        place = ends[number]
        before = ends[number - 1] + 1 if number else 0
        behind = ends[number + 1] if number + 1 < len(ends) else len(tokens)
        yield _Equation(
            tokens[max(before, place - LONGEST_SIDE) : place],
            tokens[place],
            tokens[place + 1 : min(behind, place + 1 + LONGEST_SIDE)],
            goes_on=behind < len(tokens) and tokens[behind].kind is Kind.EQUALS,
        )


def _left(tokens: Sequence[Token], worth: bool) -> Reading | None:
    """The longest expression that ends with the tokens."""
    for start in range(len(tokens)):
        if not _may_begin(tokens, start):
            continue
        try:
            reading = EquationReader(tokens, start, worth=worth).read()
        except NoExpression:
            continue
        if reading.end == len(tokens):
            # A number with its unit behind prose is no side of an equation: "4 students drank 2 quarts = 4 * 2".
            bare = start in (0, len(tokens) - 1)
            return reading if reading.operations or bare else None
    return None


def _may_begin(tokens: Sequence[Token], start: int) -> bool:
    """Whether an expression may begin at a place, and is not a part of one that cannot be read."""
    before = start - 1
    if before >= 0 and tokens[before].kind is Kind.WORD:
        if tokens[before].text.lower() in _BINDING_WORDS or (tokens[start].kind is Kind.OPEN and tokens[start].glued):
            return False
        while before >= 0 and tokens[before].kind is Kind.WORD:
            before -= 1
        return before < 0 or tokens[before].kind is not Kind.OPERATOR
    return before < 0 or tokens[before].kind not in _BINDING


def _right(tokens: Sequence[Token], worth: bool) -> Reading | None:
    """The longest expression that begins with the tokens, up to an "of" (1/8 of 2 feet)."""
    tokens = tokens[: next((place for place, token in enumerate(tokens) if token.text == "of"), len(tokens))]
    try:
        return EquationReader(tokens, 0, worth=worth).read()
    except NoExpression:
        return None


def _agree(left: Reading, right: Reading, about: bool) -> bool:
    return left.value == right.value or any(
        written.literal is not None and _rounds_to(exact.value, written.literal, written.value, about)
        for exact, written in ((left, right), (right, left))
    )


def _goes_over(left: Reading, right: Reading, about: bool, worth: bool) -> bool:
    """Whether the right side of a running chain begins with the value of the left one."""
    first = right.first
    if first is None or not right.operations:
        return False
    value = first.value / 100 if first.text == "%" and worth else first.value
    return _rounds_to(left.value, first, value, about)


def _rounds_to(exact: Fraction, written: Token, value: Fraction, about: bool) -> bool:
    """Whether a number is written with the digits that the exact value is rounded or cut to.

    Args:
        value: that `written` stands for, as a percentage, with its sign, or in millions.
    """
    difference = abs(exact - value)
    if not difference or not written.value:
        return not difference
    unit = abs(value / written.value) * _last_digit(written, about)
    if not (written.decimals or about):
        return False
    return 2 * difference <= unit or (written.decimals > 0 and abs(value) <= abs(exact) and difference < unit)


def _last_digit(written: Token, about: bool) -> Fraction:
    """What the last digit of a number is worth; of a whole one behind a sign of about, the last that is not 0."""
    if written.decimals or not about:
        return Fraction(1, 10**written.decimals)
    digits = str(written.value.numerator)
    return Fraction(10 ** (len(digits) - len(digits.rstrip("0"))))
