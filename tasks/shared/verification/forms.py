r"""The shape of an answer as text: normal form, equation chains, operations left to carry out, decoration.

Computer algebra forgets the shape: it evaluates a restated integral, drops the prime of ``5'`` and takes the last
member of ``x = 3 = 5``. So shape is judged here, before any algebra is done.
"""

import re
from functools import lru_cache
from typing import Literal

from tasks.shared.verification.answers.lists import split_top
from tasks.shared.verification.answers.spelling import compact_spaces, spell
from tasks.shared.verification.answers.units import split_unit
from tasks.shared.verification.numbers import read_number

_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
_WORDS = re.compile(r"[A-Za-z][A-Za-z' -]+")
_E_NOTATION = re.compile(r"(?<![A-Za-z\\\d.])(\d+(?:\.\d*)?)[eE]([+-]?\d{1,3})(?![\d.^A-Za-z])")
_OPERATOR = re.compile(
    r"(?<!_)(?<!_\{)\\(i{0,4}int|oint|sum|prod|coprod|lim|limsup|liminf|sup|inf|max|min|gcd|lcm|det|bigcup|bigcap)"
    r"(?![A-Za-z])|\\(?:operatorname\*?|text)\{\s*(lcm|gcd|max|min|det)\s*\}|([∫∑∏])|(?<![A-Za-z])(gcd|lcm|max|min)(?=\s*\()"
    r"|\\begin\s*\{([vV]matrix)\}"
)
_DERIVATIVE = re.compile(r"\\frac\{?(?:d|\\partial)(?:\^\{?\d+\}?)?\}?\{?(?:d|\\partial)\s?[a-z]")
_ARITHMETIC = re.compile(
    r"(?<=[\d)}!%])\s*(?P<sign>[-+*]|\\times|\\cdot|\\div)\s*(?=[\d(\\{.])|\\(?P<name>bmod|pmod|mod|binom|choose|log|ln|"
    r"sin|cos|tan|cot|sec|csc|arcsin|arccos|arctan|lfloor|lceil|exp)(?![A-Za-z])"
    r"|(?<=\d)\s*(?P<rest>!|%\s*\d)|(?<![A-Za-z\\])(?P<word>mod|choose|floor|ceil)(?![A-Za-z])|(?P<bar>\|)"
)
_POWER_OF_TEN = re.compile(r"(?:\\times|\\cdot|\*)\s*10\s*\^\s*(?:\{[+-]?\d+\}|\d)")
_DECORATION = re.compile(
    r"'|\\prime|(?<=\d)_|\\(?:overline|bar|cancel|bcancel|xcancel|phantom|hphantom|not|sout|overset|underset|stackrel)"
    r"(?![A-Za-z])|\\(?:hat|tilde|vec|dot|underbrace|overbrace)\s*\{?(?=\d)|\?"
)
_RELATION = re.compile(r"[<>!\\:]=|\\(?:leq|geq|neq)")
_NO_LETTERS = re.compile(r"\\(?:mathbb\s*\{[A-Z]\}|text\s*\{[^{}]*\}|[A-Za-z]+)|[^A-Za-z]")
_CAPITAL = re.compile(r"\\(?:mathbb\s*\{[A-Z]\}|text\s*\{[^{}]*\}|[A-Za-z]+)|[A-Z]")
_BASE = re.compile(r"(-?[0-9A-Za-z]+)_\{?(\d{1,2})\}?")

Sign = Literal["=", "≈"]


@lru_cache(maxsize=16_384)
def normal_form(text: str) -> str:
    r"""One form for texts that read the same: no spaces, no ``\text``."""
    plain = _TEXT.sub(r"\1", spell(text)).strip().removesuffix(".")
    return " ".join(plain.split()) if _WORDS.fullmatch(plain) else compact_spaces(plain)


@lru_cache(maxsize=16_384)
def canonical(answer: str) -> str:
    """One form for answers of one value: the exact value of a number, whatever its unit, or else the normal form; of an
    equation, its last member.

    For counting how often answers occur. It is coarser than a verdict, which compares units where both sides have one.
    """
    value = chain(answer)[0][-1]
    number = read_number(value) or read_number(split_unit(value)[0])
    return str(number.value) if number else normal_form(value)


def for_algebra(text: str) -> str:
    r"""LaTeX for Math-Verify, without what it would misread: ``4.5e33`` has Euler's e for it."""
    return _E_NOTATION.sub(r"\1 \\times 10^{\2}", spell(text))


def told_apart(answer: str, gold: str) -> tuple[str, str]:
    r"""Both texts with other letters for capitals whose small letter occurs, too: Math-Verify takes ``M`` for ``m``."""
    texts = spell(answer), spell(gold)
    letters = set("".join(_NO_LETTERS.sub("", text) for text in texts))
    capitals = sorted(letter for letter in letters if letter.isupper() and letter.lower() in letters)
    free = [letter for letter in "bcfghjklmnopqrstuvwxyza" if not {letter, letter.upper()} & letters]
    if not capitals or len(capitals) > len(free):
        return answer, gold
    other = dict(zip(capitals, free, strict=False))
    renamed = [_CAPITAL.sub(lambda match: other.get(match.group(), match.group()), text) for text in texts]
    return renamed[0], renamed[1]


def chain(text: str) -> tuple[list[str], list[Sign]]:
    r"""Members of ``x = 3 = 5`` or ``\sqrt{2} \approx 1.41`` and the signs between them, outside brackets."""
    plain = _RELATION.sub(
        lambda match: "\0" * len(match.group()), spell(text).replace(r"\approx", "≈").replace("\0", "")
    )
    spelled = spell(text).replace(r"\approx", "≈").replace("\0", "")
    members: list[str] = []
    signs: list[Sign] = []
    position = 0
    for part in split_top(plain, "=≈"):
        members.append(spelled[position : position + len(part)].strip())
        position += len(part)
        if position < len(plain):
            signs.append("=" if plain[position] == "=" else "≈")
            position += 1
    return members, signs


def operations_left(answer: str, gold: str, gold_is_value: bool) -> set[str]:
    r"""Operations that the answer leaves undone and the gold answer does not have: integrals, sums, limits, gcd, ...

    Where the gold is a value, also arithmetic: ``17 \times 24`` restates a question. Powers, roots and fractions are
    values, as is ``3 \times 10^8``.
    """
    left = _operators(answer) - _operators(gold)
    if gold_is_value:
        bare = _POWER_OF_TEN.sub("", spell(answer)).lstrip("+- ")
        left |= {next(name for name in match.groups() if name) for match in _ARITHMETIC.finditer(bare)}
    return left


def _operators(text: str) -> set[str]:
    operators = {next(name for name in groups if name) for groups in _OPERATOR.findall(spell(text))}
    return operators | ({"derivative"} if _DERIVATIVE.search(compact_spaces(text)) else set())


def decoration(text: str) -> set[str]:
    r"""Marks that algebra drops though they change what is said: primes, bars, struck-out or subscripted digits."""
    return set(_DECORATION.findall(spell(text)))


def numeral_with_base(text: str) -> tuple[str, int] | None:
    """Digits and base of ``52_8`` or ``4210_{5}``; None for anything else."""
    match = _BASE.fullmatch(normal_form(text).replace("(", "").replace(")", ""))
    if not match or not 2 <= int(match.group(2)) <= 36 or not any(c.isdigit() for c in match.group(1)):
        return None
    return match.group(1).upper(), int(match.group(2))
