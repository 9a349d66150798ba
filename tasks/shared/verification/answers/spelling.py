r"""One spelling for what reads the same: Unicode, ASCII and Python notation become plain LaTeX, layout goes.

``2√3``, ``2*sqrt(3)`` and ``2\sqrt{3}`` are the same text afterwards, as are ``x²`` and ``x**2``. Nothing here decides
whether two answers are equal; it only spares every later rule from knowing each spelling.
"""

import re
import unicodedata
from collections.abc import Callable
from functools import lru_cache

_CHARACTERS = {
    "-": "−–‐‑－﹣",
    r"\times ": "×✕⨯",
    r"\cdot ": "·⋅∙•",
    r"\div ": "÷",
    r"\leq ": "≤⩽≦",
    r"\geq ": "≥⩾≧",
    r"\neq ": "≠",
    r"\approx ": "≈≅≃",
    r"\infty ": "∞",
    r"\cup ": "∪",
    r"\cap ": "∩",
    r"\in ": "∈",
    r"\setminus ": "∖",
    r"\emptyset ": "∅",
    r"\pm ": "±",
    r"\mp ": "∓",
    r"^\circ ": "°º",
    r"\angle ": "∠",
    r"\triangle ": "△",
    r"\to ": "→",
    "/": "⁄∕",
    "'": "’′",
    " ": "\u00a0\u2009\u202f\u2002\u2003",
    "": "\u200b\u2060\ufeff\u200e",
    r"\mathbb{R}": "ℝ",
    r"\mathbb{Z}": "ℤ",
    r"\mathbb{N}": "ℕ",
    r"\mathbb{Q}": "ℚ",
    r"\mathbb{C}": "ℂ",
}
_GREEK = (
    "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho _ sigma tau upsilon "
    "phi chi psi omega"
)
_ONE_BY_ONE = {ord(character): latex for latex, characters in _CHARACTERS.items() for character in characters} | {
    ord("α") + place: rf"\{name} " for place, name in enumerate(_GREEK.split()) if name != "_"
}
_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
_LOWERED = str.maketrans("₀₁₂₃₄₅₆₇₈₉₊₋ₙ", "0123456789+-n")
_RAISED_RUN = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]+")
_LOWERED_RUN = re.compile("[₀₁₂₃₄₅₆₇₈₉₊₋ₙ]+")
_VULGAR = re.compile("[¼-¾⅐-⅞]")
_ROOT = re.compile(r"([√∛])\s*(?=[(\w{\\])|(?<![A-Za-z\\])(sqrt|cbrt)\s*(?=\()")
_FUNCTIONS = "arcsin|arccos|arctan|sinh|cosh|tanh|sin|cos|tan|cot|sec|csc|ln|log|exp"
FUNCTIONS = frozenset([*_FUNCTIONS.split("|"), "sqrt", "lim", "max", "min", "gcd", "lcm", "det", "mod"])
"""Names of functions, which are no words."""

Replacement = str | Callable[[re.Match[str]], str]
Rules = tuple[tuple[re.Pattern[str], Replacement], ...]
_LATEX_SIGN = re.compile(r"[\\{~<>=]")
"""What stands in every text that a LaTeX rule changes."""
_LATEX_RULES: Rules = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        # layout
        (r",\\!\s*", ","),
        (r"(?<!\\)\\!", ""),
        (r"(?<=\d)(?:\\,|\{,\})(?=\d{3}(?!\d))", ","),
        (r"\{,\}", ","),
        (r"\\(?:left|right|[bB]igg?[lrm]?)(?![A-Za-z])\s*\.?(?=[^\w\s.]|$)|\\(?:left|right)(?![A-Za-z])", ""),
        (r"\\(?:displaystyle|textstyle|limits|nolimits|hfill|strut)(?![A-Za-z])", ""),
        (r"(?<!\\)\\[,;:> ]|\\(?:quad|qquad|enspace|thinspace|space)(?![A-Za-z])|~", " "),
        # Mathematics shows no spaces: digits that are set apart are one number.
        (
            r"(?<=\\mathbf)\s*\{(\s*(?:[-+]\s*)?\d(?:\s+[\d.])+\s*)\}",
            lambda match: "{" + "".join(match[1].split()).rstrip(".") + "}",
        ),
        (
            r"\\(?:mathbf|boldsymbol|bm|mathit|mathsf|mathnormal|underline|boxed|fbox|bbox)\s*"
            r"\{([^{}]*)\}",
            r"\1",
        ),
        (r"\\(?:mathrm|operatorname|text|textrm|mbox)\s*\{\s*([a-z])\s*\}(?<=[eidx]\})", r"\1"),
        (
            r"\\(?:textbf|textit|textrm|textnormal|textsf|texttt|emph|mbox|hbox|mathrm|operatorname\*?)\s*"
            r"\{(?!(?:lcm|gcd|max|min|det)\})",
            r"\\text{",
        ),
        (r"_\s*\\text\s*\{([^{}]*)\}", r"_{\1}"),
        (r"_\{\s*\\text\s*\{([^{}]*)\}\s*\}", r"_{\1}"),
        # one command of several
        (r"\\[dtc]frac(?![A-Za-z])", r"\\frac"),
        (r"\\[dt]binom(?![A-Za-z])", r"\\binom"),
        (r"\\(?:leqslant|leqq|le)(?![A-Za-z])|<=|=<", r"\\leq "),
        (r"\\(?:geqslant|geqq|ge)(?![A-Za-z])|>=", r"\\geq "),
        (r"\\(?:ne|not\s*=)(?![A-Za-z])|!=", r"\\neq "),
        (r"\\lt(?![A-Za-z])", "<"),
        (r"\\gt(?![A-Za-z])", ">"),
        (r"\\(?:simeq|approxeq|thickapprox|cong|doteq)(?![A-Za-z])", r"\\approx "),
        (r"\\lbrace(?![A-Za-z])", r"\\{"),
        (r"\\rbrace(?![A-Za-z])", r"\\}"),
        (r"\\lvert|\\rvert|\\vert|\\mid(?![A-Za-z])", "|"),
        (r"\^\s*\{\s*\\circ\s*\}|\^\s*\\circ(?![A-Za-z])|\\degree(?![A-Za-z])", r"^\\circ "),
        (r"\\varnothing(?![A-Za-z])", r"\\emptyset "),
        (r"\\colon(?![A-Za-z])", ":"),
        (r"\\(?:lor|vee)(?![A-Za-z])", r" \\text{ or } "),
        (r"\\(?:land|wedge)(?![A-Za-z])", r" \\text{ and } "),
        (r"\\backslash(?![A-Za-z])", r"\\setminus "),
        (r"\\dot\{(\d)\}(?=$|[^\d])", r"\\overline{\1}"),
        (r"\^(?<=\d\^)\s*\{\s*(\\text\s*\{\s*)?(st|nd|rd|th)\s*\}(?(1)\s*\})", r"\2"),
    )
)
_ASCII_RULES: Rules = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"==", "="),
        (r"\*\*\s*", "^"),
        (r"\^\s*([+-]?\d{2,}|[+-]\d)", r"^{\1}"),
        (r"(?<![A-Za-z\\])(?:np|math|numpy|sympy)\.(?=[A-Za-z])", ""),
        (r"(?<![A-Za-z\\])pi(?![A-Za-z])", r"\\pi "),
        (r"(?<![A-Za-z\\])infinity(?![A-Za-z])", r"\\infty "),
        (rf"(?<![A-Za-z\\])({_FUNCTIONS})(?=\s*[({{\\\d^_]|\s+[A-Za-z](?![A-Za-z]))", r"\\\1 "),
        (r"(\d)\.(?=/)", r"\1"),
        (r"^([+-]?\d*)\.(\d*)\((\d+)\)$", r"\1.\2\\overline{\3}"),
    )
)
_SIGN_IN_WORDS = re.compile(
    r"(?:\\text\s*\{\s*)?(?:(?P<minus>negative|minus)|positive|plus|the(?=\s+\d))(?:\s*\}\s*|\s+)"
    r"(?=\.?\d|\\(?:frac|sqrt|pi|infty)(?![A-Za-z])|[a-z](?![A-Za-z]))",
    re.IGNORECASE,
)
_REALS = frozenset(["all real numbers", "all reals", "the real numbers", "real numbers"])
_BRACKETS = re.compile(r"([\[\](])((?:[^\[\]()]|\([^()]*\)|(?<=\\sqrt)\[\d+\])*)([\])\[])")
_AMOUNT = re.compile(r"[+-]?(?:\\?\$)?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]+)(?:\.[0-9]+)?")
_BETWEEN_DIGITS = re.compile(r"(?<=\d)\s+,?\s*(?=\d)|(?<=\d),\s+(?=\d)")
_DOLLAR = re.compile(r"(?<!\\)\$")
_WHOLE_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")


@lru_cache(maxsize=16_384)
def spell(text: str) -> str:
    r"""Rewrite an answer in one spelling: LaTeX without layout, fonts, ``$`` and closing punctuation."""
    plain = text.strip()
    if is_amount(plain):
        return plain if "\\" in plain else plain.replace("$", r"\$")
    if not plain.isascii():
        plain = _from_unicode(plain)
    plain = _roots(_without_dollars(plain))
    for pattern, replacement in (*_LATEX_RULES, *_ASCII_RULES) if _LATEX_SIGN.search(plain) else _ASCII_RULES:
        plain = pattern.sub(replacement, plain)
    plain = _without_closing_mark(_turned_brackets(plain) if "]" in plain or "[" in plain else plain)
    whole = _WHOLE_TEXT.fullmatch(plain)
    return _words_as_signs(_without_closing_mark(whole.group(1)) if whole else " ".join(plain.split()))


def is_amount(text: str) -> bool:
    """Whether a text is one numeral such as ``1,234.50``, at most with a dollar sign: most answers are."""
    return _AMOUNT.fullmatch(text) is not None


def compact_spaces(text: str) -> str:
    """Remove white space, except where it parts two digits, or two digits and the comma between them."""
    if len(text.split(maxsplit=1)) < 2:
        return text.strip()
    kept = _BETWEEN_DIGITS.sub(lambda match: ",\0" if "," in match.group() else "\0", text.strip())
    return "".join(kept.split()).replace("\0", " ")


def _from_unicode(text: str) -> str:
    text = _VULGAR.sub(lambda match: _fraction(match.group()), text)
    text = _RAISED_RUN.sub(lambda match: f"^{{{match.group().translate(_RAISED)}}}", text)
    text = _LOWERED_RUN.sub(lambda match: f"_{{{match.group().translate(_LOWERED)}}}", text)
    text = unicodedata.normalize("NFKC", text.translate(_ONE_BY_ONE))
    return "".join(character for character in text if unicodedata.category(character) != "So")


def _fraction(character: str) -> str:
    above, _, below = unicodedata.normalize("NFKC", character).partition("⁄")
    return rf"\frac{{{above}}}{{{below}}}"


def _words_as_signs(text: str) -> str:
    """``-5`` for ``negative 5`` and ``minus 5``; ``positive`` and the article of ``the 5th`` are left out."""
    if text.casefold() in _REALS:
        return r"\mathbb{R}"
    lead = _SIGN_IN_WORDS.match(text)
    return ("-" if lead.group("minus") else "") + text[lead.end() :] if lead else text


def _turned_brackets(text: str) -> str:
    """Write ``]0, 1[``, whose brackets are turned away from an end that is left out, with parentheses."""
    return _BRACKETS.sub(_interval, text)


def _interval(match: re.Match[str]) -> str:
    opening, inner, closing = match.groups()
    ends = [end.strip() for end in re.split("[,;]", inner)]
    if len(ends) != 2 or not all(ends) or (opening != "]" and closing != "["):
        return match.group()
    return f"{'(' if opening == ']' else opening}{', '.join(ends)}{')' if closing == '[' else closing}"


def _without_dollars(text: str) -> str:
    r"""Drop maths delimiters; a single ``$`` before a digit is money and becomes ``\$``."""
    dollars = _DOLLAR.findall(text)
    if len(dollars) == 1 and re.search(r"(?<!\\)\$\s*\d", text):
        return _DOLLAR.sub(r"\\$", text)
    for opening, closing in ((r"\(", r"\)"), (r"\[", r"\]")):
        if text.startswith(opening) and text.endswith(closing):
            text = text[2:-2]
    return _DOLLAR.sub("", text)


def _roots(text: str) -> str:
    """Give each radical sign the number, letter or bracket behind it as its argument."""
    if "√" not in text and "∛" not in text and "rt" not in text:
        return text
    pieces, last = [], 0
    for match in _ROOT.finditer(text):
        if match.start() < last:
            continue
        end = _operand_end(text, match.end())
        inner = text[match.end() : end]
        if inner.startswith("("):
            inner = inner[1:-1]
        command = r"\sqrt[3]" if "∛" in match.group() or match.group(2) == "cbrt" else r"\sqrt"
        pieces += [text[last : match.start()], command, f"{{{_roots(inner)}}}" if inner[:1] != "{" else inner]
        last = end
    return "".join([*pieces, text[last:]])


def _operand_end(text: str, start: int) -> int:
    if text[start] not in "({":
        plain = re.compile(r"\d+(?:\.\d+)?|\\?[A-Za-z]+" if text[start] == "\\" else r"\d+(?:\.\d+)?|\w").match(
            text, start
        )
        return plain.end() if plain else start
    depth = 0
    for position in range(start, len(text)):
        depth += (text[position] in "({") - (text[position] in ")}")
        if depth == 0:
            return position + 1
    return len(text)


def _without_closing_mark(text: str) -> str:
    text = text.strip().rstrip(",;").rstrip()
    return text[:-1].rstrip() if text.endswith(".") and not text.endswith("..") else text
