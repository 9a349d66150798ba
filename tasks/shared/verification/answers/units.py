r"""Take the unit phrase off a value: ``12`` and *dollars per hour* of ``12\text{ dollars per hour}``.

Units are compared by their names, never converted: 2 hours are not 120 minutes. One of two answers may leave its unit
out.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from tasks.shared.verification.answers.spelling import FUNCTIONS, is_amount, spell
from tasks.shared.verification.answers.unit_names import (
    COMPOUND,
    EITHER,
    MEASURES,
    TEMPERATURES,
    is_listed,
    is_symbol,
    unit_name,
)

_CONNECTING = {"of", "the", "a", "an", "it", "them"}
_FILLERS = _CONNECTING | {"in", "total", "altogether", "unit", "all", "each", "left"}
"""Words that say nothing about what is counted; a phrase of connecting words alone is no unit."""
_POWERS = {"square": 2, "sq": 2, "squared": 2, "cubic": 3, "cu": 3, "cubed": 3}
_CURRENCIES = {"$": "dollar", "€": "euro", "£": "gbp", "¥": "yensign", "₹": "rupee", "¢": "cent"}
_NEVER = frozenset(
    "or and to plus minus times over at least most more less fewer than not about approximately around nearly almost "
    "roughly up above below under between base mod modulo remainder with without if when where for such that unless "
    "otherwise only half halves third thirds quarter quarters fourth fourths fifth fifths sixth sixths eighth eighths "
    "tenth tenths hundredth hundredths hundred thousand million billion trillion dozen percent percentage pct negative "
    "positive infinity pi no none but is was are equals equal as from out by through til until either both neither nor "
    "greater smaller larger divided multiplied power root factorial degree_of choose undefined too".split()
)
"""Words that change a value, so that no phrase with one of them is a unit."""

_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_TOKEN = re.compile(
    r"\\frac\s*\{\s*\\text\s*\{[^{}]*\}\s*\}\s*\{\s*\\text\s*\{[^{}]*\}(?:\^\{?\d\}?)?\s*\}"
    r"|\\text\s*\{[^{}]*\}|\^\\circ\s*(?:[CF](?![A-Za-z])|\\text\s*\{\s*[CF]\s*\})?|\^\{[+-]?\d\}|\^\d|\\[A-Za-z]+|\\."
    r"|[A-Za-z]+(?:\.[A-Za-z](?![A-Za-z]))*\.?|\s+|.",
    re.DOTALL,
)
_PREFIX = re.compile(
    r"([+-]?)\s*(?:\\text\s*\{\s*)?(\\?\$|[€£¥₹]|\\pounds|\b(?:USD|EUR|GBP|Rs\.?|INR)\b)\s*\}?\s*(?=[\d.+-])"
)
_QUOTIENT = re.compile(r"(\d)\s+([A-Za-z]{1,4})/([A-Za-z]{1,4})(?=$|\^)")
_SYMBOLS = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"\\mu\s*\\text\s*\{\s*|\\text\s*\{\s*(?:\\mu|μ)\s*", r"\\text{micro"),
        (r"(?:\\mu\s*|μ)(?=[mgslL]\b)", "micro"),
        (r"(?<=\d)\s*(?:\\Omega|Ω)", " ohm"),
        (r"\b([mcdk]?m|in|ft|yd|mi)([23])\b", r"\1^\2"),
    )
)
"""Spellings of symbols, and what they mean."""
_SQUARE = re.compile(r"\b(?:square|sq\.?|cubic|cu\.?)$")
_AMOUNT = re.compile(r"(\d+(?:\.\d+)?)\s*([A-Za-z]+)\.?(?:\s*,|(?:\s*,)?\s+and\b)?\s*")
_EXPONENT = re.compile(r"\^\{?([+-]?\d)\}?")
_PHRASE_WORDS = 8


@dataclass(frozen=True, slots=True)
class Unit:
    """Measures with their exponents, such as metre and second to the power -1, and what is counted, as words."""

    measures: frozenset[tuple[str, int]]
    nouns: frozenset[str]

    def agrees(self, other: "Unit") -> bool:
        """Whether both say the same; the shorter of two counted phrases may leave words out, "units" say nothing."""
        if not (self.measures or self.nouns) or not (other.measures or other.nouns):
            return True
        same = self._measures_beside(other) == other._measures_beside(self)
        return same and (self.nouns <= other.nouns or other.nouns <= self.nouns)

    def _measures_beside(self, other: "Unit") -> frozenset[tuple[str, int]]:
        """The measures, names of two units taken for that which the other has."""
        return frozenset(
            (next((one for one in EITHER.get(name, ()) if (one, power) in other.measures), name), power)
            for name, power in self.measures
        )


@lru_cache(maxsize=16_384)
def split_unit(text: str, *, symbols: bool = False) -> tuple[str, Unit | None]:
    """A value and the unit phrase behind it or the currency before it; None where there is none.

    Args:
        symbols: take for units what may be variables too, such as the ``m`` of ``5 m``.
    """
    spelled = spell(text)
    if spelled[-1:].isdigit() and is_amount(spelled) and "$" not in spelled:
        return spelled, None
    for pattern, replacement in _SYMBOLS if symbols else ():
        spelled = pattern.sub(replacement, spelled)
    currency, body = "", spelled
    prefix = _PREFIX.match(spelled)
    if prefix:
        currency = _CURRENCIES.get(prefix.group(2)[-1], prefix.group(2).lower().strip("\\."))
        body = prefix.group(1) + spelled[prefix.end() :]
    tokens = [body] if is_amount(body) else _TOKEN.findall(_QUOTIENT.sub(_as_unit, body))
    start = _unit_start(tokens, symbols)
    value, phrase = "".join(tokens[:start]).strip(), "".join(tokens[start:])
    phrase = "/" + phrase if value.endswith("/") else phrase
    value = re.sub(r"(?:/|\\cdot|\*)\s*$", "", value).rstrip() if phrase else value
    is_power = re.match(r"(?:\\text\s*\{)?\s*(?:squared|cubed)", phrase)
    if not (phrase or currency) or is_power or value[-1:] in "+-=(<>^_,;:" or not _is_value(value):
        return spelled, None
    named = set(re.findall(r"[a-z]+|\\circ|[$€£¥₹¢]", phrase.lower())) - _CONNECTING - {"text"}
    return (value, _canonical(f"{currency} {phrase}")) if named or currency else (spelled, None)


def _as_unit(match: re.Match[str]) -> str:
    r"""``m/s`` behind a number is a unit, though a bare ``m`` is a variable."""
    known = all(unit_name(name) in MEASURES for name in match.group(2, 3))
    return rf"{match.group(1)}\text{{ {match.group(2)}/{match.group(3)}}}" if known else match.group()


def _is_value(value: str) -> bool:
    return bool(re.search(r"\d|\\[A-Za-z]", value)) or (len(value) == 1 and value.islower())


def _unit_start(tokens: list[str], symbols: bool) -> int:
    """Index of the first token of the unit phrase that ends the text; the number of tokens where there is none."""
    start, words = len(tokens), 0
    for index in range(len(tokens) - 1, -1, -1):
        token = tokens[index]
        glued = index > 0 and not tokens[index - 1].isspace()
        if (
            _EXPONENT.fullmatch(token)
            or token.isspace()
            or token in ("/", r"\cdot", "*", "-", ".", r"\$", *_CURRENCIES)
        ):
            if token == r"\$" or token in _CURRENCIES:
                start = index
            continue
        if not _is_unit(token, glued, "".join(tokens[:index]).strip(), symbols):
            break
        start, words = index, words + len(token.split())
    return start if words <= _PHRASE_WORDS else len(tokens)


def _is_unit(token: str, glued: bool, before: str, symbols: bool) -> bool:
    if token.startswith(r"^\circ"):
        return bool(re.fullmatch(r"[+-]?[\d.,\s/]+|[+-]?\\frac[\d{}]+", before))
    if token in ("st", "nd", "rd", "th") and glued and before[-1:].isdigit():
        return _is_ordinal(before, token)
    groups = _TEXT.findall(token)
    if groups and groups[0].strip() in _CURRENCIES:
        return True
    words = re.findall(r"[a-z]+", " ".join(groups if groups else [token]).replace(".", "").replace("'", "").lower())
    if not words or not _NEVER.isdisjoint(words) or any(any(c.isdigit() for c in group) for group in groups):
        return False
    if "k" in (token, *(group.strip() for group in groups)):
        # A thousand: kelvin is a capital.
        return False
    if groups:
        return all(len(word) > 1 or unit_name(word) in MEASURES or word == "a" for word in words)
    word = words[0]
    if not token[0].isalpha() or word in FUNCTIONS - {"sec", "min"} or word in ("lim", "max"):
        return False
    if is_symbol(token.rstrip(".")) and (symbols or _SQUARE.search(before)):
        return (not glued or before[-1:].isdigit() or before[-1:] in "/}") and before[-1:] not in ("+", "-")
    if is_listed(word):
        return len(word) > 2 or not glued or before[-1:].isdigit()
    return word in ("per", "of", "the", "a", "an", "it") or (
        len(word) > 2 and not glued and any(c in "aeiouy" for c in word)
    )


def _is_ordinal(before: str, ending: str) -> bool:
    """Whether ``5`` and ``th`` are a place in a row, or ``1/5`` and ``th`` a fraction; nothing is ``2th``."""
    whole = re.fullmatch(r"\d{1,3}(?:,\d{3})+|(?:\d+/)?\d+", before)
    teen = before[-2:-1] == "1" and len(before) > 1
    return bool(whole) and ending == ("th" if teen else {"1": "st", "2": "nd", "3": "rd"}.get(before[-1], "th"))


@lru_cache(maxsize=4_096)
def _canonical(phrase: str) -> Unit:
    measures: dict[str, int] = {}
    nouns: set[str] = set()
    sign, power = 1, 1
    phrase = re.sub(r"\\frac\s*\{(.*?\})\s*\}\s*\{(.*)\}$", r"\1 / \2", phrase)
    phrase = re.sub(r"\^\\circ", " deg ", _TEXT.sub(r" \1 ", phrase))
    for currency, name in _CURRENCIES.items():
        phrase = phrase.replace(currency, f" {name} ")
    for token in re.findall(r"/|\^\{?[+-]?\d\}?|[A-Za-z]+(?:'s)?", phrase.replace(".", "").replace("\\", " ")):
        word, exponent = token.lower(), _EXPONENT.fullmatch(token)
        if word in ("/", "per"):
            sign = -1
        elif word in ("squared", "cubed") or exponent:
            last = next(reversed(measures), None)
            if last:
                measures[last] *= int(exponent.group(1)) if exponent else _POWERS[word]
        elif word in _POWERS:
            power = _POWERS[word]
        else:
            name = unit_name(token)
            for measure, times in COMPOUND.get(name, ((name, 1),)):
                if measure in MEASURES:
                    measures[measure] = sign * power * times
                elif measure not in _FILLERS and measure not in ("cdot", "text"):
                    nouns.add(measure if sign > 0 else f"per {measure}")
            power = 1
    if TEMPERATURES & measures.keys():
        measures.pop("deg", None)
    return Unit(frozenset(measures.items()), frozenset(nouns))


@lru_cache(maxsize=4_096)
def split_amounts(text: str) -> tuple[tuple[float, str], ...]:
    """The parts of an amount in several units, such as 2 hour and 30 minute; none where a text is no such amount."""
    plain = _TEXT.sub(r" \1 ", spell(text)).strip()
    parts, end = [], 0
    while (match := _AMOUNT.match(plain, end)) and unit_name(match.group(2)) in MEASURES:
        parts.append((float(match.group(1)), unit_name(match.group(2))))
        end = match.end()
    return tuple(parts) if end == len(plain) and len(parts) > 1 else ()
