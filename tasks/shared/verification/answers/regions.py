r"""Intervals and inequalities, which say the same: ``1 < x \leq 2`` and ``(1, 2]``."""

import re
from dataclasses import dataclass

from tasks.shared.verification.answers.lists import enclosing, split_top
from tasks.shared.verification.answers.spelling import compact_spaces, spell

_VARIABLE = r"(?:[A-Za-z]|\\(?!pi|infty|emptyset|in\b)[A-Za-z]+)(?:_(?:\{[^{}]*\}|\w))?"
_LONE = re.compile(_VARIABLE)
_MEMBERSHIP = re.compile(rf"({_VARIABLE})\s*\\in(?![A-Za-z])\s*(.*)", re.DOTALL)
_BUILDER = re.compile(rf"({_VARIABLE})\s*(?:\\in(?![A-Za-z])\s*\\mathbb\{{R\}}\s*)?[:|]\s*(.*)", re.DOTALL)
_UNION = re.compile(r"\\cup(?![A-Za-z])|\\text\s*\{\s*or\s*\}|(?<![A-Za-z])or(?![A-Za-z])")
_AND = re.compile(r"\\text\s*\{\s*and\s*\}|(?<![A-Za-z])and(?![A-Za-z])|\\cap(?![A-Za-z])")
_SIGN = re.compile(r"(\\(?:leq|geq|neq)(?![A-Za-z])|<|>)")
_FLIPPED = {"<": ">", ">": "<", r"\leq": r"\geq", r"\geq": r"\leq"}
_BRACKETS = {"<": ("(", ")"), r"\leq": ("[", "]")}


@dataclass(frozen=True, slots=True)
class Piece:
    """Brackets and ends of one interval, as text."""

    opening: str
    low: str
    high: str
    closing: str


@dataclass(frozen=True, slots=True)
class Region:
    """A union of intervals."""

    intervals: tuple[Piece, ...]
    variable: str = ""
    """The variable that the answer names; empty where it gives the set alone."""
    plain: bool = False
    """Whether it may as well be a point: one pair of parentheses."""

    def text(self) -> str:
        """The union in interval notation."""
        pieces = (f"{part.opening}{part.low},{part.high}{part.closing}" for part in self.intervals)
        return r" \cup ".join(pieces)


def region(text: str) -> Region | None:
    """The union of intervals that an answer describes; None where it is anything else."""
    spelled = spell(text)
    variable = ""
    opening, inner, _, _ = enclosing(spelled)
    builder = _BUILDER.fullmatch(inner.strip()) if opening in (r"\{", "{") else None
    member = builder or _MEMBERSHIP.fullmatch(spelled)
    if member:
        variable, spelled = member.group(1), member.group(2).strip()
    pieces = [piece for part in _UNION.split(spelled) if (piece := _piece(part)) is not None]
    if not pieces or len(pieces) != len(_UNION.split(spelled)):
        return None
    names = {name for name, _ in pieces if name} | ({variable} if variable else set())
    if len(names) > 1:
        return None
    intervals = tuple(interval for _, found in pieces for interval in found)
    plain = not names and len(intervals) == 1 and intervals[0].opening + intervals[0].closing == "()"
    return Region(intervals, compact_spaces(next(iter(names), "")), plain)


def _piece(text: str) -> tuple[str, list[Piece]] | None:
    opening, inner, closing, kind = enclosing(text)
    ends = split_top(inner)
    if kind == "tuple" and len(ends) == 2 and opening in "([" and all(end.strip() for end in ends):
        return "", [Piece(opening, ends[0].strip(), ends[1].strip(), closing)]
    halves = [_inequality(half.strip()) for half in _AND.split(text)]
    if len(halves) == 1:
        return halves[0]
    return _both(*halves) if len(halves) == 2 else None


def _both(one: tuple[str, list[Piece]] | None, other: tuple[str, list[Piece]] | None) -> tuple[str, list[Piece]] | None:
    """Where two inequalities hold, one from below and one from above; it may be nowhere."""
    if one is None or other is None or one[0] != other[0] or len(one[1]) != 1 or len(other[1]) != 1:
        return None
    below, above = (one[1][0], other[1][0]) if one[1][0].high == r"\infty" else (other[1][0], one[1][0])
    if below.high != r"\infty" or above.low != r"-\infty":
        return None
    return one[0], [Piece(below.opening, below.low, above.high, above.closing)]


def _inequality(text: str) -> tuple[str, list[Piece]] | None:
    parts = [part.strip() for part in _SIGN.split(text)]
    members, signs = parts[::2], parts[1::2]
    if not all(members) or len(signs) not in (1, 2) or (r"\neq" in signs and len(signs) == 2):
        return None
    if len(signs) == 2:
        return _between(members, signs)
    lone = [bool(_LONE.fullmatch(member)) for member in members]
    if lone[0] == lone[1]:
        return None
    name, value, sign = (*members, signs[0]) if lone[0] else (members[1], members[0], _FLIPPED.get(signs[0], signs[0]))
    if sign == r"\neq":
        return name, [Piece("(", r"-\infty", value, ")"), Piece("(", value, r"\infty", ")")]
    if sign in _BRACKETS:
        return name, [Piece("(", r"-\infty", value, _BRACKETS[sign][1])]
    return name, [Piece(_BRACKETS[_FLIPPED[sign]][0], value, r"\infty", ")")]


def _between(members: list[str], signs: list[str]) -> tuple[str, list[Piece]] | None:
    if all(sign in (">", r"\geq") for sign in signs):
        members, signs = members[::-1], [_FLIPPED[sign] for sign in reversed(signs)]
    if not all(sign in _BRACKETS for sign in signs) or not _LONE.fullmatch(members[1]):
        return None
    low, name, high = members
    return name, [Piece(_BRACKETS[signs[0]][0], low, high, _BRACKETS[signs[1]][1])]
