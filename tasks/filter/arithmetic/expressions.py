"""A recursive reader of expressions: numbers with units, the four operations, small powers, fractions, brackets.

A number may be followed by words, its unit ("5 red apples"). Percentages, cents, dozens and millions have two readings,
as what they are worth and as they stand, and an expression is computed under one of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tasks.filter.arithmetic.tokens import Kind, Token

DEEPEST = 20
"""Brackets within brackets. Ours."""
LARGEST_DIGITS = 100
"""Digits of a numerator or a denominator. Ours."""
_LARGEST_EXPONENT = 12
_MOST_UNIT_WORDS = 4
_SCALES = {"hundred": 100, "thousand": 1_000, "million": 10**6, "billion": 10**9, "dozen": 12, "dozens": 12}
_TIMES_AND_LENGTHS = (
    ("second", "seconds", "sec"), ("minute", "minutes", "min", "mins"), ("hour", "hours", "hr", "hrs"),
    ("day", "days"), ("week", "weeks"), ("month", "months"), ("year", "years"), ("inch", "inches"),
    ("foot", "feet", "ft"), ("yard", "yards"), ("mile", "miles"), ("cm", "centimeters"), ("m", "meters", "metres"),
    ("km", "kilometers"), ("ounce", "ounces", "oz"), ("pound", "pounds"), ("cup", "cups"), ("pint", "pints"),
    ("quart", "quarts"), ("gallon", "gallons"), ("g", "grams"), ("kg", "kilograms"),
)  # fmt: skip
_CHANGING = {"remainder", "rem", "mod", "modulo", "half", "halves", "squared", "cubed", "factorial", "choose"}
"""Words behind a number that make another of it."""
_CONVERTED = {name: names[0] for names in _TIMES_AND_LENGTHS for name in names}


def has_worth(token: Token) -> bool:
    """Whether a token makes a number worth something else than it says: a percentage, cents, a dozen, a million."""
    return token.text == "%" or token.text.lower() in _SCALES


class NoExpression(Exception):
    """What stands there is no expression, or none that can be computed."""


@dataclass(frozen=True, slots=True)
class Reading:
    """An expression that was read."""

    value: Fraction
    end: int
    """Index of the token behind it."""
    operations: int
    literal: Token | None
    """The number that it is, where it is nothing else."""
    first: Token | None
    """The number that it begins with."""
    units: frozenset[str]
    """Units that are converted into one another."""
    adds: bool


class EquationReader:
    """Reads tokens from one place on; used once."""

    def __init__(self, tokens: Sequence[Token], start: int, *, worth: bool) -> None:
        self._tokens = tokens
        self._place = start
        self._worth = worth
        self._depth = 0
        self._operations = 0
        self._adds = False
        self._numbers: list[Token] = []
        self._units: set[str] = set()

    def read(self) -> Reading:
        """The longest expression here; raises NoExpression where there is none."""
        value = self._sum()
        literal = self._numbers[0] if self._operations == 0 and len(self._numbers) == 1 else None
        first = self._numbers[0] if self._numbers else None
        return Reading(value, self._place, self._operations, literal, first, frozenset(self._units), self._adds)

    def _next(self) -> Token | None:
        return self._tokens[self._place] if self._place < len(self._tokens) else None

    def _takes(self, signs: str) -> str:
        token = self._next()
        if token is None or token.kind is not Kind.OPERATOR or token.text not in signs:
            return ""
        self._place += 1
        self._operations += 1
        return token.text

    def _takes_of(self) -> str:
        """Take the "of" behind a share, which multiplies: ``20% of 50``, ``1/2 of 10``."""
        if not self._is_of():
            return ""
        self._place += 1
        self._operations += 1
        return "*"

    def _is_of(self) -> bool:
        around = self._tokens[max(0, self._place - 1) : self._place + 2]
        return (
            len(around) == 3
            and around[0].kind in (Kind.NUMBER, Kind.CLOSE)
            and around[1].text == "of"
            and around[2].kind is Kind.NUMBER
        )

    def _sum(self) -> Fraction:
        total = self._product()
        while sign := self._takes("+-"):
            self._adds = True
            term = self._product()
            total = _bounded(total + term if sign == "+" else total - term)
        return total

    def _product(self) -> Fraction:
        product = self._power()
        while True:
            token = self._next()
            sign = self._takes("*/") or self._takes_of()
            if not sign and token is not None and self._is_factor(token):
                sign, self._operations = "*", self._operations + 1
            if not sign:
                return product
            factor = self._power()
            if sign == "/" and not factor:
                raise NoExpression
            product = _bounded(product * factor if sign == "*" else product / factor)

    def _is_factor(self, token: Token) -> bool:
        """Whether a bracket stands directly behind a number or another bracket: ``2(3 + 4)``."""
        before = self._tokens[self._place - 1].kind
        return token.kind is Kind.OPEN and token.glued and token.text != "{" and before in (Kind.NUMBER, Kind.CLOSE)

    def _power(self) -> Fraction:
        base = self._signed()
        if not self._takes("^"):
            return base
        exponent = self._signed()
        if exponent.denominator != 1 or abs(exponent) > _LARGEST_EXPONENT or (not base and exponent < 0):
            raise NoExpression
        return _bounded(base ** int(exponent))

    def _signed(self) -> Fraction:
        token = self._next()
        if token is not None and token.kind is Kind.OPERATOR and token.text == "-":
            self._place += 1
            return -self._atom()
        return self._atom()

    def _atom(self) -> Fraction:
        token = self._next()
        if token is None:
            raise NoExpression
        self._place += 1
        if token.kind is Kind.NUMBER:
            return self._with_unit(self._mixed(token))
        if token.kind is Kind.FRAC:
            return self._with_unit(self._frac())
        if token.kind is Kind.OPEN:
            return self._with_unit(self._bracketed())
        raise NoExpression

    def _bracketed(self) -> Fraction:
        self._depth += 1
        if self._depth > DEEPEST:
            raise NoExpression
        value = self._sum()
        closing = self._next()
        if closing is None or closing.kind is not Kind.CLOSE:
            raise NoExpression
        self._place += 1
        self._depth -= 1
        return value

    def _frac(self) -> Fraction:
        above, below = self._argument(), self._argument()
        self._operations += 1
        if not below:
            raise NoExpression
        return _bounded(above / below)

    def _argument(self) -> Fraction:
        token = self._next()
        if token is None or token.kind is not Kind.OPEN:
            raise NoExpression
        self._place += 1
        return self._bracketed()

    def _mixed(self, token: Token) -> Fraction:
        """A number, with the fraction behind it where it is a mixed one."""
        self._numbers.append(token)
        value = token.value / 100 if token.text == "%" and self._worth else token.value
        rest = self._tokens[self._place : self._place + 3]
        kinds = [item.kind for item in rest]
        if token.decimals == 0 and kinds == [Kind.NUMBER, Kind.OPERATOR, Kind.NUMBER] and rest[1].text == "/":
            above, below = rest[0], rest[2]
            if above.decimals == below.decimals == 0 and above.value < below.value:
                self._place += 3
                self._operations += 1
                return value + above.value / below.value
        if kinds[:1] == [Kind.FRAC]:
            self._place += 1
            part = self._frac()
            if not 0 < part < 1 or token.decimals:
                raise NoExpression
            return value + part
        return value

    def _with_unit(self, value: Fraction) -> Fraction:
        """The value, behind the words that name what is counted; a variable or a number behind it has no meaning."""
        words = 0
        while (token := self._next()) is not None and token.kind is Kind.WORD and words < _MOST_UNIT_WORDS:
            word = token.text.lower()
            if word in _CHANGING or (token.glued and self._tokens[self._place - 1].kind is Kind.CLOSE):
                raise NoExpression
            if self._is_of():
                return value
            if word in _SCALES and words == 0 and self._worth:
                value = _bounded(value * _SCALES[word])
            elif word in _CONVERTED:
                self._units.add(_CONVERTED[word])
            words += 1
            self._place += 1
        if words and self._takes("^"):
            # A power of the unit: 5 inches^2.
            self._operations -= 1
            self._atom()
        elif token is not None and token.kind in (Kind.UNKNOWN, Kind.NUMBER, Kind.FRAC) and words == 0:
            raise NoExpression
        return value


def _bounded(value: Fraction) -> Fraction:
    if max(value.numerator.bit_length(), value.denominator.bit_length()) > LARGEST_DIGITS * 10 // 3:
        raise NoExpression
    return value
