r"""The shape of an answer as text: normal form, lists, delimiters, equation chains, unevaluated operators,
cost.

Computer algebra forgets the shape: it evaluates a restated integral, takes the last member of ``x = 3 = 5``
and calls ``\{1,2\}`` a point. So shape is judged here, before any algebra is done.
"""

import re
from functools import lru_cache
from typing import Literal

from tasks.shared.verification.numbers import compact_spaces

_TEXT = re.compile(r"\\(?:text|textbf|textit|textrm|mbox|mathrm|mathbf|operatorname)\s*\{([^{}]*)\}")
_SPACING = re.compile(r"\\[!,;:]|\\(?:quad|qquad|displaystyle|left|right|big|Big|bigg|Bigg)(?![A-Za-z])|~")
_SAME = (
    (re.compile(r"\\[dtc]frac(?![A-Za-z])"), r"\\frac"),
    (re.compile(r"\^(?:\{\\circ\}|\\degree)"), r"^\\circ"),
    (re.compile(r"\\(?:leqslant|le)(?![A-Za-z])"), r"\\leq"),
    (re.compile(r"\\(?:geqslant|ge)(?![A-Za-z])"), r"\\geq"),
    (re.compile(r"\\[lr]brace(?![A-Za-z])"), lambda match: r"\{" if match.group()[1] == "l" else r"\}"),
    (re.compile(r"(\d)\{,\}(?=\d)"), r"\1,"),
    (re.compile(r"(?<=\d)\.(?=/)"), ""),
)
_WORDS = re.compile(r"[A-Za-z][A-Za-z' -]+")
_CHOICE = re.compile(r"\(?([A-Z])\)?")
_E_NOTATION = re.compile(r"(?<![A-Za-z\\\d])(\d+(?:\.\d*)?)[eE]([+-]?\d{1,3})(?![\d.^A-Za-z])")
_UNEVALUATED = re.compile(
    r"(?<!_)(?<!_\{)\\(i{0,4}int|oint|sum|prod|coprod|lim|limsup|liminf|sup|inf|max|min|gcd|lcm|det|bigcup|bigcap)(?![A-Za-z])"
    r"|\\operatorname\*?\{(lcm|gcd|max|min|det)\}|([∫∑∏])"
)
_DERIVATIVE = re.compile(r"\\frac\{?(?:d|\\partial)(?:\^\{?\d+\}?)?\}?\{?(?:d|\\partial)\s?[a-z]")
_NO_EQUATION = re.compile(r"[<>!\\]=")
_BASE = re.compile(r"(-?[0-9A-Za-z]+)_\{?(\d{1,2})\}?")

Delimiter = Literal["set", "tuple", ""]


@lru_cache(maxsize=16_384)
def normal_form(text: str) -> str:
    r"""One spelling for texts that read the same: no spacing commands, ``$``, ``\text``, closing full stop"""
    plain = re.sub(r"(?<!\\)\$", "", text).strip()
    plain = _SPACING.sub("", _TEXT.sub(r"\1", plain).replace("\\ ", " "))
    for pattern, replacement in _SAME:
        plain = pattern.sub(replacement, plain)
    plain = plain.strip().removesuffix(".")
    words = _WORDS.fullmatch(plain.strip())
    return " ".join(plain.split()).casefold() if words else compact_spaces(plain)


def is_text(gold: str) -> bool:
    r"""Whether the gold answer is words, such as ``\text{Evelyn}``: then only the same words are right."""
    body = re.sub(r"(?<!\\)\$", "", gold).strip()
    return bool(_TEXT.fullmatch(body)) and bool(_WORDS.fullmatch(normal_form(gold)))


def choice_letter(text: str) -> str | None:
    r"""The letter of a multiple-choice answer written ``C``, ``(C)`` or ``\text{(C)}``."""
    match = _CHOICE.fullmatch(normal_form(text))
    return match.group(1) if match else None


def for_algebra(text: str) -> str:
    r"""Rewrite what Math-Verify would misread: ``4.5e33`` (it reads Euler's e), ``-1./3``, inner ``$``."""
    plain = re.sub(r"(?<!\\)\$", "", text).strip().removesuffix(".")
    plain = re.sub(r"(?<=\d)\.(?=\s*/)", "", plain)
    return _E_NOTATION.sub(r"\1 \\times 10^{\2}", plain)


def split_top(text: str, separator: str = ",") -> list[str]:
    """Split at separators outside every kind of bracket; an interval's unlike brackets count as a pair."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        if character in "([{":
            depth += 1
        elif character in ")]}":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [*parts, text[start:]]


def delimiter(text: str) -> Delimiter:
    r"""Whether one pair of braces (``\{..\}`` or ``{..}``) or parentheses encloses the whole list."""
    compact = normal_form(text)
    for opening, closing, name in ((r"\{", r"\}", "set"), ("{", "}", "set"), ("(", ")", "tuple")):
        if compact.startswith(opening) and compact.endswith(closing):
            inner = compact[len(opening) : -len(closing)]
            if _balanced(inner) and len(split_top(inner)) > 1:
                return name
    return ""


def _balanced(inner: str) -> bool:
    depth = 0
    for character in inner:
        depth += (character in "([{") - (character in ")]}")
        if depth < 0:
            return False
    return depth == 0


def enclosing(text: str) -> tuple[str, str, str]:
    """The outermost bracket pair that encloses all of `text`, as (opening, inner, closing); empty brackets
    if none.
    """
    plain = _SPACING.sub("", text).strip()
    for opening, closing in ((r"\{", r"\}"), ("{", "}"), ("(", ")"), ("[", "]")):
        if plain.startswith(opening) and plain.endswith(closing):
            inner = plain[len(opening) : -len(closing)]
            if _balanced(inner):
                return opening, inner, closing
    return "", text, ""


def equation_members(element: str) -> list[str]:
    """Members of an equation chain: ``x = 3 = 5`` gives three; one member where no equality sign stands
    outside brackets.
    """
    masked = _NO_EQUATION.sub(lambda match: "\0" * len(match.group()), element.replace("==", "= "))
    members, start = [], 0
    for part in split_top(masked, "="):
        members.append(element.replace("==", "= ")[start : start + len(part)].strip())
        start += len(part) + 1
    return members


def assigned_value(answer: str) -> str:
    """``5`` of ``x = 5``; a list, or what has no equality sign outside brackets, as it is."""
    return equation_members(answer)[-1] if len(split_top(answer)) == 1 else answer


def unevaluated_operators(text: str) -> set[str]:
    """Names of operators that leave the work undone: integrals, sums, limits, derivatives, gcd, ..."""
    if "\\" not in text and text.isascii():
        return set()
    operators = {next(name for name in groups if name) for groups in _UNEVALUATED.findall(text)}
    compact = compact_spaces(text)
    return operators | ({"derivative"} if _DERIVATIVE.search(compact) else set())


def numeral_with_base(text: str) -> tuple[str, int] | None:
    """Digits and base of ``52_8`` or ``4210_{5}``; None for anything else."""
    match = _BASE.fullmatch(normal_form(text))
    if not match or not 2 <= int(match.group(2)) <= 36 or not any(c.isdigit() for c in match.group(1)):
        return None
    return match.group(1).upper(), int(match.group(2))
