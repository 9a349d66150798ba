"""Values of a publisher's row as text: what counts as text or a number, and what only fills an empty place."""

import math
import unicodedata
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_PLACEHOLDERS = frozenset(
    "nan -nan none null n/a n.a n.a. #n/a #na #ref! #value! #div/0! #name? #num! #null! #error! #spill! #calc! "
    "tbd tba tbc ? ?? ??? - -- --- – — … ... $$ &nbsp; 1.#ind -1.#ind 1.#qnan -1.#qnan [removed] [deleted]".split()
) | {"to be determined", "to be announced", "not available", "not applicable"}
"""As pandas, databases, spreadsheets and people write a missing value; compared in lower case."""
_EXACTLY = frozenset({"NA", "NaT", "TODO", "\\N"})
r"""Compared as written: sodium is Na, and all is todo. Exports of databases have ``\N``."""
PLACEHOLDER = "is a placeholder for a missing value"
_AROUND = " .,;\"'()[]<>$"


@dataclass(frozen=True, slots=True, repr=False)
class Unreadable:
    """A value that its file holds but that cannot be read; a row is rejected only where this value is needed."""

    reason: str

    def __repr__(self) -> str:
        return "(unreadable)"


class UnusableValue(ValueError):
    """A field does not hold what its mapping expects; the message is the reject's reason."""


def as_text(value: Any) -> str:
    """Text, or a number as text; bytes are decoded as UTF-8.

    Raises `UnusableValue` for null, placeholders, truth values, dates, lists, objects, NaN and infinities.
    """
    match value:
        case str():
            text = value
        case bytes():
            text = _decoded(value)
        case Unreadable():
            raise UnusableValue(value.reason)
        case None:
            raise UnusableValue("is null")
        case bool():
            raise UnusableValue(f"is {str(value).lower()}, not text or a number")
        case float() if not math.isfinite(value):
            raise UnusableValue("is not a finite number")
        case Decimal() if not value.is_finite():
            raise UnusableValue("is not a finite number")
        case int() | float() | Decimal():
            return f"{value:f}" if isinstance(value, Decimal) and abs(value.adjusted()) < 40 else str(value)
        case list() | tuple() | dict():
            kind = "an object" if isinstance(value, dict) else "a list"
            raise UnusableValue(f"is {kind}, not text or a number; map a field inside it")
        case _:
            raise UnusableValue(f"is a {type(value).__name__}, not text or a number")
    if is_placeholder(text):
        raise UnusableValue(PLACEHOLDER)
    return text


def is_placeholder(text: str) -> bool:
    """Whether a text only fills the place of a missing value: nan, None, N/A, null, TBD, a dash, what nobody sees."""
    bare = text.strip()
    if bare and all(character.isspace() or unicodedata.category(character) == "Cf" for character in bare):
        return True
    inner = bare.strip(_AROUND)
    return bool({bare, inner} & _EXACTLY or {bare.casefold(), inner.casefold()} & _PLACEHOLDERS)


def check_decoded(text: str) -> None:
    """Raise `UnusableValue` for a text in which somebody lost a character: what stood there may have been a sign."""
    if "\N{REPLACEMENT CHARACTER}" in text:
        raise UnusableValue("holds U+FFFD, in whose place stood a character that was not decoded")


def check_text(text: str) -> None:
    """Raise `UnusableValue` for a string that is a placeholder, that no file can hold, or that shows binary data."""
    if is_placeholder(text):
        raise UnusableValue(PLACEHOLDER)
    if "\0" in text:
        raise UnusableValue("holds a NUL character, which is not text")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise UnusableValue("holds half of a surrogate pair, which is not text") from error


def _decoded(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise UnusableValue(f"is not UTF-8 at byte {error.start}: {error.reason}") from error
