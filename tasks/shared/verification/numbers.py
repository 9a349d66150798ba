r"""Read plain numerals exactly, without a computer-algebra system.

Almost every answer of a word problem is one numeral, and exact rationals decide those in microseconds. The
rules agree with Math-Verify wherever both read the text (a test compares them), with one deliberate
difference: numbers that agree to six decimals only because both are tiny are told apart.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

from tasks.shared.verification.answers.spelling import compact_spaces, spell

_MAX_EXPONENT = 400
_SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d{1,3}(?: \d{3})+|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_POWER = r"(?:[eE]([+-]?\d{1,4})|(?:\\times|\\cdot|\*|x)10\^(?:\{([+-]?\d{1,4})\}|(\d)))"
_POWER_ALONE = re.compile(r"([+-]?)10\^(?:\{([+-]?\d{1,4})\}|(\d))")
_PLAIN = re.compile(rf"([+-]?)({_DECIMAL}){_POWER}?")
_SLASH = re.compile(rf"([+-]?)(?:(\d+) )?({_DECIMAL})/({_DECIMAL})")
_FRAC = re.compile(rf"([+-]?)({_DIGITS})? ?\\frac(?:\{{([+-]?)({_DECIMAL})\}}|(\d))(?:\{{({_DECIMAL})\}}|(\d))(?!\d)")
_REPEATING = re.compile(r"([+-]?)(\d*)\.(\d*)\\overline(?:\{(\d+)\}|(\d))")
_SCALED = re.compile(rf"(.*[\d}}])\s*(?:\\text\{{)?\s*({'|'.join(_SCALES)})s?\s*\}}?", re.IGNORECASE)
_DECIMAL_COMMA = re.compile(r"(?<![\d.,])([1-9]\d{0,2}(?:([. ])\d{3})(?:\2\d{3})*),(\d+)(?![\d.,])")
_GROUPING_DOTS = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:\.\d{3}){2,}(?![\d.,])")
_PERCENT = re.compile(
    r"(.*?)\s*(?:\\?%|(?:\\text\{)?\s*(?:percent(?:age points?)?|per cent|pct)\s*\}?)", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Numeral:
    """An exact value; `rounded` where it has a decimal point, so that its last digit may be rounded."""

    value: Fraction
    rounded: bool


@lru_cache(maxsize=16_384)
def read_number(text: str) -> Numeral | None:
    r"""Value of an integer, decimal, fraction, mixed number or scientific notation; None for anything else.

    Reads ``27``, ``27.0``, ``1,000``, ``10 000``, ``10,\!080``, ``-1./3``, ``\frac43``, ``1\frac{4}{5}``, ``1 4/5``,
    ``½``, ``4.5e33``, ``4.5 \times 10^{33}``, ``5 million``, ``0.1\overline{6}``. A comma groups digits only where
    three digits follow it at once: ``100, 200`` is a list.
    """
    if len(text) > 200 or not any(character.isnumeric() for character in text):
        return None
    spelled = spell(text)
    scaled = None if spelled[-1:].isdigit() else _SCALED.fullmatch(spelled)
    if scaled:
        base = read_number(scaled.group(1))
        return Numeral(base.value * _SCALES[scaled.group(2).lower()], base.rounded) if base else None
    compact = compact_spaces(spelled)
    return _read_plain(compact) or _read_slash(compact) or _read_frac(compact) or _read_repeating(compact)


def _value(digits: str) -> Fraction:
    whole, _, decimals = digits.replace(",", "").replace(" ", "").partition(".")
    return Fraction(int(whole + decimals), 10 ** len(decimals))


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value


def _read_plain(text: str) -> Numeral | None:
    match = _PLAIN.fullmatch(text)
    if not match:
        return _read_power(text)
    exponent = int(match.group(3) or match.group(4) or match.group(5) or 0)
    if abs(exponent) > _MAX_EXPONENT:
        return None
    value = _signed(match.group(1), _value(match.group(2)))
    return Numeral(value * Fraction(10) ** exponent if exponent else value, "." in match.group(2))


def _read_power(text: str) -> Numeral | None:
    match = _POWER_ALONE.fullmatch(text)
    exponent = int(match.group(2) or match.group(3)) if match else _MAX_EXPONENT + 1
    if not match or abs(exponent) > _MAX_EXPONENT:
        return None
    return Numeral(_signed(match.group(1), Fraction(10) ** exponent), False)


def _read_slash(text: str) -> Numeral | None:
    match = _SLASH.fullmatch(text)
    if not match:
        return None
    sign, whole = match.group(1), match.group(2)
    part = _ratio("", match.group(3), match.group(4))
    if part is None or (whole and part.value >= 1):
        return None
    return Numeral(_signed(sign, part.value + (_value(whole) if whole else 0)), part.rounded)


def _read_frac(text: str) -> Numeral | None:
    match = _FRAC.fullmatch(text)
    if not match:
        return None
    sign, whole, inner_sign = match.group(1), match.group(2), match.group(3)
    part = _ratio(inner_sign or "", match.group(4) or match.group(5), match.group(6) or match.group(7))
    if part is None or (whole and (inner_sign or part.value >= 1)):
        return None
    return Numeral(_signed(sign, part.value + (_value(whole) if whole else 0)), part.rounded)


def _read_repeating(text: str) -> Numeral | None:
    match = _REPEATING.fullmatch(text)
    if not match:
        return None
    sign, whole, fixed, period = match.group(1), match.group(2), match.group(3), match.group(4) or match.group(5)
    repeated = Fraction(int(period), (10 ** len(period) - 1) * 10 ** len(fixed))
    return Numeral(_signed(sign, Fraction(f"{whole or 0}.{fixed or 0}") + repeated), False)


def _ratio(sign: str, numerator: str, denominator: str) -> Numeral | None:
    below = _value(denominator)
    if below == 0:
        return None
    rounded = any(part.rstrip(".").count(".") for part in (numerator, denominator))
    return Numeral(_signed(sign, _value(numerator)) / below, rounded)


def numbers_agree(gold: Numeral, answer: Numeral, decimals: int, relative_tolerance: float) -> bool:
    """Exact equality; where a decimal point is involved, equality after rounding to `decimals` decimals.

    A rounded match must also lie within `relative_tolerance` of the larger value, so that 1e-8 is not 2e-8.
    """
    if gold.value == answer.value:
        return True
    if not (gold.rounded or answer.rounded) or _far_apart(gold.value, answer.value, decimals):
        return False
    if round(gold.value, decimals) != round(answer.value, decimals):
        return False
    larger = max(abs(gold.value), abs(answer.value))
    return abs(gold.value - answer.value) <= Fraction(relative_tolerance) * larger


def _far_apart(a: Fraction, b: Fraction, decimals: int) -> bool:
    """Whether two values differ by more than one step of `decimals`, so that rounding cannot make them equal."""
    return abs(a.numerator * b.denominator - b.numerator * a.denominator) * 10**decimals > a.denominator * b.denominator


def with_decimal_point(text: str) -> str:
    """``1.234,56`` and ``1.234.567`` as 1234.56 and 1234567; anything else as it is, ``1.234`` and ``3,5`` too.

    What has one comma may be a list, so a caller has to know that one number is looked for.
    """
    plain = _DECIMAL_COMMA.sub(lambda match: f"{re.sub('[. ]', '', match[1])}.{match[3]}", spell(text))
    return _GROUPING_DOTS.sub(lambda match: match.group().replace(".", ""), plain)


def split_percent(text: str) -> tuple[str, bool]:
    r"""Text without its closing percent sign (``%``, ``\%``, "percent"), and whether there was one."""
    spelled = spell(text)
    match = _PERCENT.fullmatch(spelled)
    return (match.group(1).strip(), True) if match else (spelled, False)
