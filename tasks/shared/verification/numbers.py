r"""Read plain numerals exactly, without a computer-algebra system.

Almost every answer of a word problem is one numeral, and exact rationals decide those in microseconds. The
rules agree with Math-Verify wherever both read the text (a test compares them), with one deliberate
difference: numbers that agree to six decimals only because both are tiny are told apart.
"""

import re
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache

_MAX_EXPONENT = 400
_SCALES = {
    "hundred": 100,
    "thousand": 1_000,
    "million": 10**6,
    "billion": 10**9,
    "trillion": 10**12,
    "dozen": 12,
}

_DIGITS = r"(?:\d{1,3}(?:,\d{3})+|\d+)"
_DECIMAL = rf"(?:{_DIGITS}(?:\.\d*)?|\.\d+)"
_POWER = r"(?:[eE]([+-]?\d{1,4})|\\?(?:times|cdot|\*|×)10\^(?:\{([+-]?\d{1,4})\}|(\d)))"
_PLAIN = re.compile(rf"([+-]?)({_DECIMAL}){_POWER}?")
_SLASH = re.compile(rf"([+-]?)({_DECIMAL})/({_DECIMAL})")
_FRAC = re.compile(rf"([+-]?)({_DIGITS})?\\frac(?:\{{([+-]?)({_DECIMAL})\}}|(\d))(?:\{{({_DECIMAL})\}}|(\d))(?!\d)")
_NOISE = re.compile(r"\\[!,;: ]|\\left|\\right|\\displaystyle|(?<!\\)\$|[{]([,])[}]|~")
_CURRENCY = re.compile(r"^([+-]?)(?:\\\$|[€£¥])")
_SCALED = re.compile(rf"(.*\d)\s*(?:\\(?:text|mbox|mathrm)\{{)?\s*({'|'.join(_SCALES)})s?\}}?", re.IGNORECASE)
_PERCENT = re.compile(r"(.*?)\s*(?:\\?%|(?:\\text\{)?\s*percent\s*\}?)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Numeral:
    """An exact value; `rounded` where it has a decimal point, so that its last digit may be rounded."""

    value: Fraction
    rounded: bool


@lru_cache(maxsize=16_384)
def read_number(text: str) -> Numeral | None:
    r"""Value of an integer, decimal, fraction, mixed number or scientific notation; None for anything else.

    Reads ``27``, ``27.0``, ``1,000``, ``10,\!080``, ``\$18.90``, ``-1./3``, ``\frac43``, ``1\frac{4}{5}``,
    ``4.5e33``, ``4.5 \times 10^{33}``, ``5 million``.
    """
    if len(text) > 200 or not any(character.isdigit() for character in text):
        return None
    scaled = _SCALED.fullmatch(text.strip())
    if scaled:
        base = read_number(scaled.group(1))
        return Numeral(base.value * _SCALES[scaled.group(2).lower()], base.rounded) if base else None
    compact = _CURRENCY.sub(r"\1", compact_spaces(_NOISE.sub(r"\1", text)).replace("−", "-"))
    compact = re.sub(r"\\[dtc]frac", r"\\frac", compact)
    return _read_plain(compact) or _read_slash(compact) or _read_frac(compact)


def compact_spaces(text: str) -> str:
    """Remove white space, except between two digits, where it separates numbers."""
    return re.sub(r"(?<=\d)\s+(?=\d)", " ", re.sub(r"(?<!\d)\s+|\s+(?!\d)", "", text.strip()))


def _value(digits: str) -> Fraction:
    return Fraction(digits.replace(",", "").rstrip(".") or "0")


def _signed(sign: str, value: Fraction) -> Fraction:
    return -value if sign == "-" else value


def _read_plain(text: str) -> Numeral | None:
    match = _PLAIN.fullmatch(text)
    if not match:
        return None
    exponent = int(match.group(3) or match.group(4) or match.group(5) or 0)
    if abs(exponent) > _MAX_EXPONENT:
        return None
    value = _signed(match.group(1), _value(match.group(2))) * Fraction(10) ** exponent
    return Numeral(value, "." in match.group(2))


def _read_slash(text: str) -> Numeral | None:
    match = _SLASH.fullmatch(text)
    return _ratio(match.group(1), match.group(2), match.group(3)) if match else None


def _read_frac(text: str) -> Numeral | None:
    match = _FRAC.fullmatch(text)
    if not match:
        return None
    sign, whole, inner_sign = match.group(1), match.group(2), match.group(3)
    part = _ratio(inner_sign or "", match.group(4) or match.group(5), match.group(6) or match.group(7))
    if part is None or (whole and (inner_sign or part.value >= 1)):
        return None
    return Numeral(_signed(sign, part.value + (_value(whole) if whole else 0)), part.rounded)


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
    if not (gold.rounded or answer.rounded):
        return False
    if round(gold.value, decimals) != round(answer.value, decimals):
        return False
    larger = max(abs(gold.value), abs(answer.value))
    return abs(gold.value - answer.value) <= Fraction(relative_tolerance) * larger


def split_percent(text: str) -> tuple[str, bool]:
    r"""Text without its closing percent sign (``%``, ``\%``, "percent"), and whether there was one."""
    match = _PERCENT.fullmatch(text.strip().rstrip("$").strip())
    return (match.group(1).strip().lstrip("$"), True) if match else (text, False)
