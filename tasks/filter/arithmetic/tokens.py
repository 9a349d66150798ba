r"""Tokens of the equations in a text: numbers, operators, brackets, words, and the places where nothing goes on.

One pass with patterns that cannot backtrack far; what is no part of an equation becomes a break.
"""

import re
from dataclasses import dataclass
from enum import Enum, auto
from fractions import Fraction

MOST_CHARS = 20_000
"""What stands behind is not read. Ours."""
_LONGEST_NUMERAL = 30
_BREAKS = set(".,;:!?\n\r\"'’“”…|—<>→⇒")
_INDEXING = set("_^(0123456789*/+=")
"""What stands behind a letter that is a variable."""
_REPEATING = (r"\overline", r".\overline", r"\bar", r".\bar", r"\dot", r".\dot")


class Kind(Enum):
    """Kinds of tokens."""

    NUMBER = auto()
    OPERATOR = auto()
    EQUALS = auto()
    OPEN = auto()
    CLOSE = auto()
    FRAC = auto()
    WORD = auto()
    UNKNOWN = auto()
    """A command or letter that is a value of its own: what it touches cannot be computed."""
    BREAK = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A token and what it says."""

    kind: Kind
    text: str
    glued: bool = False
    """Whether nothing stands between it and the token before."""
    value: Fraction = Fraction(0)
    decimals: int = 0
    """Digits behind the point of a number."""


_OPERATORS = {
    "+": "+", "-": "-", "*": "*", "/": "/", "^": "^", "−": "-", "–": "-", "×": "*", "·": "*", "⋅": "*", "∗": "*",
    "÷": "/", "∕": "/", "⁄": "/", r"\times": "*", r"\cdot": "*", r"\ast": "*", r"\div": "/",
}  # fmt: skip
_WORDS = {"times": "*", "plus": "+", "minus": "-", "x": "*", "X": "*"}
_EQUALS = {"=": "=", "≈": "≈", r"\approx": "≈", "≃": "≈", r"\simeq": "≈"}
_BRACKETS = {"(": Kind.OPEN, "[": Kind.OPEN, "{": Kind.OPEN, ")": Kind.CLOSE, "]": Kind.CLOSE, "}": Kind.CLOSE}
_STOPS = {r"\\", *(rf"\{name}" for name in "begin end Rightarrow implies rightarrow to leq le geq ge neq ne".split())}
_FRACS = {r"\frac", r"\dfrac", r"\tfrac"}
_SKIPPED = re.compile(
    r"\\(?:left|right|boxed|fbox|displaystyle|quad|qquad|,|;|!|:|\s|\$|%)(?![A-Za-z])|\\[()\[\]]"
    r"|[$€£¥₹&~`_]+|\*\*+|[ \t]+"
)
_PERCENT = re.compile(r"[ \t]?(?:\\?%|percent\b)|[ \t]?(?:¢|cents?\b)")
_ANNOTATION = re.compile(r"<<([^<>\n]{1,200})>>")
_BULLET = re.compile(r"^[ \t]*(?:[-*•+]|\d{1,3}[.)])[ \t]+", re.MULTILINE)
_TEXT = re.compile(r"\\(?:text|mathrm|mbox|textbf|mathbf)[ \t]*\{([^{}\n]{0,80})\}")
_GROUPED = re.compile(r"(?<=\d)(?:\{,\}|,\\!)(?=\d{3})")
_CONTINUED = re.compile(r"(?<![ \t])[ \t]*(?:\n|\\\\)[ \t]*(?=&?[ \t]*(?:=|\\approx|≈))")
_UNIT_SLASH = re.compile(r"/[ \t]*(?:[A-Za-z]{2,}|[A-Za-z]\b)")
_TOKEN = re.compile(
    r"(?P<clock>\d+:\d+)|(?P<number>\d{1,3}(?:,\d{3})+(?![\d,])(?:\.\d+)?|\d+(?:\.\d+)?|\.\d+)"
    r"|(?P<relation>[=<>!:]=+|=>|[-=]+>|<-+)|(?P<power>\*\*)"
    r"|(?P<command>\\[A-Za-z]+|\\\\)|(?P<word>[A-Za-z][A-Za-z'’-]*[A-Za-z]|[A-Za-z])|(?P<other>.)",
    re.DOTALL,
)


def annotations(text: str) -> tuple[str, list[str]]:
    """The text without GSM8K's calculator marks ``<<48/2=24>>``, and what stands in them."""
    return _ANNOTATION.sub("", text), _ANNOTATION.findall(text)


def tokenize(text: str) -> list[Token]:
    """The tokens of a text, its first `MOST_CHARS` characters."""
    plain = _CONTINUED.sub(" ", _BULLET.sub("\n", text[:MOST_CHARS]))
    plain = _GROUPED.sub(",", _TEXT.sub(r" \1 ", plain))
    tokens: list[Token] = []
    place, end = 0, -1
    while place < len(plain):
        skipped = _SKIPPED.match(plain, place)
        if skipped and not (skipped.group() == "**" and _is_power(plain, place)):
            place = skipped.end()
            # Blanks part tokens; signs of currency, mathematics and emphasis do not.
            end = place if end == skipped.start() and not skipped.group().isspace() else end
            continue
        match = _TOKEN.match(plain, place)
        assert match is not None
        token = _token(plain, match, glued=place == end)
        place = match.end()
        if token.kind is Kind.NUMBER and (percent := _PERCENT.match(plain, place)):
            token = Token(Kind.NUMBER, "%", token.glued, token.value, token.decimals)
            place = percent.end()
        elif token.text == "/" and (unit := _UNIT_SLASH.match(plain, match.start())):
            token, place = Token(Kind.WORD, unit.group()), unit.end()
        tokens.append(token)
        end = place
    return tokens


def _is_power(text: str, place: int) -> bool:
    return text[place - 1 : place].isdigit() and text[place + 2 : place + 3].isdigit()


def _token(text: str, match: re.Match[str], *, glued: bool) -> Token:
    said = match.group()
    if match.group("number"):
        return _number(said, glued, exact=not text.startswith(_REPEATING, match.end()))
    if match.group("power"):
        return Token(Kind.OPERATOR, "^", glued)
    if said in _OPERATORS:
        return Token(Kind.OPERATOR, _OPERATORS[said], glued)
    if said in _EQUALS:
        return Token(Kind.EQUALS, _EQUALS[said], glued)
    if said in _BRACKETS:
        return Token(_BRACKETS[said], said, glued)
    if said in _FRACS:
        return Token(Kind.FRAC, said, glued)
    if said in _WORDS and _stands_between(text, match):
        return Token(Kind.OPERATOR, _WORDS[said], glued)
    if match.group("word"):
        variable = len(said) == 1 and (glued or said not in "aAI" or text[match.end() : match.end() + 1] in _INDEXING)
        return Token(Kind.UNKNOWN if variable else Kind.WORD, said, glued)
    if match.group("clock") or (match.group("command") and said not in _STOPS):
        return Token(Kind.UNKNOWN, said, glued)
    known = said in _BREAKS or not match.group("other")
    return Token(Kind.BREAK if known else Kind.UNKNOWN, said, glued)


def _stands_between(text: str, match: re.Match[str]) -> bool:
    """Whether a letter or word that may be an operator stands between two values."""
    behind = text[match.end() : match.end() + 8].lstrip(" $\\€£(")
    before = text[max(0, match.start() - 2) : match.start()].rstrip()
    return behind[:1].isdigit() and (len(match.group()) > 1 or before[-1:] not in ("", *"+-*/=^({"))


def _number(said: str, glued: bool, exact: bool) -> Token:
    digits = said.replace(",", "")
    if len(digits) > _LONGEST_NUMERAL or not exact:
        return Token(Kind.UNKNOWN, "", glued)
    return Token(Kind.NUMBER, "", glued, Fraction(digits), len(digits.partition(".")[2]))
