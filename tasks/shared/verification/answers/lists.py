r"""Lists as answers: ``3, 5``, ``\{3, 5\}``, ``(3, 5)``, ``x = 3 \text{ or } x = 5``, ``\pm 3``."""

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tasks.shared.verification.answers.spelling import spell

Kind = Literal["single", "list", "set", "tuple"]

_PAIRS: tuple[tuple[str, str, Kind], ...] = (
    (r"\{", r"\}", "set"),
    ("{", "}", "set"),
    (r"\langle", r"\rangle", "tuple"),
    ("(", ")", "tuple"),
    ("[", "]", "tuple"),
    ("(", "]", "tuple"),
    ("[", ")", "tuple"),
)
_CONJUNCTION = re.compile(r"\s*,?\s*(?:\\text\s*\{\s*,?\s*(?:and|or)\s*\}|(?<![A-Za-z\\])(?:and|or)(?![A-Za-z]))\s*")
_INNER_CONJUNCTION = re.compile(r"(?<=\d)\s*\\text\s*\{([^{}]*?)\s+(and|or)\b([^{}]*)\}")
_GROUPED = re.compile(r"(?<![\d.,])\d{1,3}(?:,\d{3})+(?!\d)(?!,\d)")
_LEADING_BOTH = re.compile(r"(?:both|either)\s+")
_MATRIX_CALL = re.compile(r"(?:Matrix|array)\s*\((.*)\)", re.DOTALL)
_MARK = "\x1e"
_HIDDEN_COMMA = "\x1f"


@dataclass(frozen=True, slots=True)
class Listing:
    """Members of an answer, and how they are enclosed; a single answer has one member and no brackets."""

    kind: Kind
    items: tuple[str, ...]
    opening: str = ""
    closing: str = ""


@lru_cache(maxsize=16_384)
def listing(text: str) -> Listing:
    """Take an answer apart into its members; brackets around a single one are taken off."""
    spelled = _LEADING_BOTH.sub("", spell(text), count=1)
    opening, inner, closing, kind = enclosing(spelled)
    if opening:
        items = _members(inner, bracketed=True)
        if len(items) == 1:
            return listing(items[0]) if _is_element(inner) else Listing("single", (spelled,))
        if kind == "tuple" and any(r"\pm" in item for item in items):
            return Listing("list", tuple(_signs(spelled)))
    else:
        items, kind = _members(spelled, bracketed=False), "list"
    items = [variant for item in items for variant in _signs(item)]
    return Listing(kind if len(items) > 1 else "single", tuple(items), opening, closing)


def _is_element(inner: str) -> bool:
    """Whether brackets hold a plain element, and not the condition of a set such as ``x : x > 3``."""
    return bool(inner.strip()) and not re.search(r"[:|]", inner)


def enclosing(text: str) -> tuple[str, str, str, Kind]:
    """The bracket pair around all of `text`, as opening, inner text, closing and kind; empty brackets if none."""
    plain = text.strip()
    for opening, closing, kind in _PAIRS:
        if plain.startswith(opening) and plain.endswith(closing) and len(plain) >= len(opening) + len(closing):
            inner = plain[len(opening) : -len(closing)]
            if _balanced(inner):
                return opening, inner, closing, kind
    return "", plain, "", "single"


def _balanced(inner: str) -> bool:
    depth = 0
    for character in inner:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0


def split_top(text: str, separators: str = ",") -> list[str]:
    """Split at separators outside every kind of bracket; an interval's unlike brackets count as a pair."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character in separators and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def matrix(text: str) -> str:
    """The matrix that rows in square brackets are, as ``[[1, 2], [3, 4]]`` or ``[1, 2; 3, 4]``; empty for others."""
    wrapped = _MATRIX_CALL.fullmatch(spell(text))
    opening, inner, _, _ = enclosing(wrapped.group(1) if wrapped else spell(text))
    if opening != "[":
        return ""
    rows = [row.strip() for row in split_top(inner, ";")]
    if len(rows) > 1:
        cells = [split_top(row) if "," in row else row.split() for row in rows]
    else:
        enclosed = [enclosing(row) for row in split_top(inner)]
        if any(bracket != "[" for bracket, *_ in enclosed):
            return ""
        cells = [split_top(row) for _, row, _, _ in enclosed]
    if len({len(row) for row in cells}) > 1 or not all(cell.strip() for row in cells for cell in row):
        return ""
    return r"\begin{pmatrix}" + r"\\".join("&".join(row) for row in cells) + r"\end{pmatrix}"


def _members(text: str, *, bracketed: bool) -> list[str]:
    """Parts between commas, semicolons, "and" and "or" that stand outside brackets.

    A comma groups digits where three digits follow at once; in brackets only if another comma has a space behind it,
    for ``(100,200)`` is a point.
    """
    if not bracketed or re.search(r",\s", text):
        text = _GROUPED.sub(lambda match: match.group().replace(",", _HIDDEN_COMMA), text)
    text = _CONJUNCTION.sub(_MARK, _INNER_CONJUNCTION.sub(r"\\text{\1}\\text{ \2 }\\text{\3}", text))
    parts = split_top(text, ",;" + _MARK)
    parts = [part.replace(_MARK, r" \text{ or } ").replace(_HIDDEN_COMMA, ",").strip() for part in parts]
    return [part for part in parts if part] or [text.strip()]


def _signs(item: str) -> list[str]:
    r"""Both readings of one ``\pm``; an item with none, or with several that may be independent, as it is."""
    if len(re.findall(r"\\pm(?![A-Za-z])", item)) != 1:
        return [item]
    return [re.sub(r"\\pm(?![A-Za-z])\s*", "+", other) for other in (_mp(item, "-"), _swapped(_mp(item, "+")))]


def _mp(item: str, sign: str) -> str:
    return re.sub(r"\\mp(?![A-Za-z])\s*", sign, item)


def _swapped(item: str) -> str:
    return re.sub(r"\\pm(?![A-Za-z])\s*", "-", item)
