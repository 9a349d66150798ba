r"""Rules for equality signs: names of a value (``x = 5``), chains (``x = 10/2 = 5``), equations, and ``\approx``."""

import re
from fractions import Fraction

from sympy import Expr, N, simplify, together

from tasks.shared.verification import forms
from tasks.shared.verification.algebra import Parsed, equal, parse_answer
from tasks.shared.verification.answers.lists import listing
from tasks.shared.verification.answers.spelling import compact_spaces
from tasks.shared.verification.answers.words import words
from tasks.shared.verification.numbers import read_number
from tasks.shared.verification.rules.decision import Context, Decision, decide

_SYMBOL = r"(?:\\(?!frac|sqrt|pi|infty|sum|int|cdot|times|pm|left|text)[A-Za-z]+|[A-Za-z])"
_ARGUMENTS = r"\s*\([^()]*\)"
_ONE_SYMBOL = re.compile(rf"{_SYMBOL}(?:_(?:\{{[^{{}}]*\}}|\w))?'*")
_FUNCTION = re.compile(rf"y|{_SYMBOL}(?:_(?:\{{[^{{}}]*\}}|\w))?(?:\^\{{-1\}})?'*{_ARGUMENTS}")
_NAME = re.compile(
    rf"{_ONE_SYMBOL.pattern}|{_FUNCTION.pattern}|\\text\s*\{{[^{{}}]*\}}(?:{_ARGUMENTS})?"
    rf"|(?:[A-Z]{{2}}|[A-Za-z][A-Za-z ]{{2,}})(?:{_ARGUMENTS})?"
    rf"|\(\s*{_SYMBOL}(?:\s*,\s*{_SYMBOL})+\s*\)"
    r"|(?:m\s*)?\\(?:angle|overline|triangle)\s*\{?\s*[A-Z]+\s*\}?|\|[A-Z]{2}\||\[[A-Z]{3,}\]"
)


def equations(answer: str, gold: str, context: Context) -> Decision | None:
    """A named value counts as its value; equations are equal if one is a multiple of the other."""
    (mine, _), (other, _) = forms.chain(answer), forms.chain(gold)
    lists = [len(parts) > 1 and listing(text).kind != "single" for parts, text in ((mine, answer), (other, gold))]
    if len(mine) == len(other) == 1 or any(lists):
        return None
    value = _value(answer, context) if len(mine) > 1 else answer
    if len(other) == 1:
        if value is None:
            return "wrong", "equation chain with members that differ"
        exact = _exact_value(answer)
        if exact and "." not in gold and context.same(exact, gold):
            return "correct", "the exact member equals the gold"
        return context.compare(value, gold)
    name, expected = assigned_name(gold), assigned_value(gold)
    if len(mine) == 1:
        return context.compare(answer, expected) if name else ("wrong", "the gold is an equation")
    return _two_equations(answer, value, gold, context) if name else _multiples(mine, other, context)


def _two_equations(answer: str, value: str | None, gold: str, context: Context) -> Decision:
    """An answer with an equality sign against a gold that names its value."""
    mine, name, expected = assigned_name(answer), assigned_name(gold), assigned_value(gold)
    if mine and value is None:
        return "wrong", "equation chain with members that differ"
    alike = mine == name or ("y" in (mine, name) and bool(_FUNCTION.fullmatch(mine) and _FUNCTION.fullmatch(name)))
    if mine and value is not None and (alike or not (_is_symbol(mine) and _is_symbol(name))):
        return context.compare(assigned_value(answer) if len(forms.chain(answer)[0]) == 2 else value, expected)
    if not parse_answer(expected).symbols:
        return "wrong", "another name" if mine else "an equation left to solve"
    return _multiples(forms.chain(answer)[0], forms.chain(gold)[0], context)


def _is_symbol(name: str) -> bool:
    """Whether a name is a symbol or a function of one, and no description such as "Area" or "AB"."""
    return bool(_ONE_SYMBOL.fullmatch(name) or _FUNCTION.fullmatch(name))


def _multiples(answer: list[str], gold: list[str], context: Context) -> Decision:
    if len(answer) != 2 or len(gold) != 2:
        return "wrong", "chains of equations"
    texts = forms.told_apart(*(f"{left} - ({right})" for left, right in (answer, gold)))
    differences = [parse_answer(text) for text in texts]
    return decide(equal_equations(differences[1], differences[0]), "an equal equation", "another equation")


def assigned_name(text: str) -> str:
    """The name ``x`` in ``x = 5`` or ``5 = x``; empty where neither end is a name."""
    parts, _ = forms.chain(text)
    if len(parts) < 2:
        return ""
    first, last = (compact_spaces(part) if _NAME.fullmatch(part) else "" for part in (parts[0], parts[-1]))
    return first or (last if len(parts) == 2 else "")


def assigned_value(text: str) -> str:
    """The value ``5`` in ``x = 5`` or ``5 = x``; a text without a name as its last member."""
    parts, _ = forms.chain(text)
    turned = len(parts) == 2 and _NAME.fullmatch(parts[1]) and not _NAME.fullmatch(parts[0])
    return parts[0] if turned else parts[-1]


def _value(text: str, context: Context) -> str | None:
    r"""Last member of a chain; None where an earlier one is another value.

    A first member with letters is a name or the asked-for expression (``x + y = 36``) where the last has none, and
    never a value; what stands behind ``\approx`` must be the rounding of what stands before it.
    """
    parts, signs = forms.chain(text)
    if len(parts) == 2 and assigned_name(text) and signs[0] == "=":
        return assigned_value(text)
    last = parts[-1]
    last_symbols = parse_answer(last).symbols
    for index, part in enumerate(parts[:-1]):
        if not part or words(part) or (_NAME.fullmatch(part) and not read_number(part)):
            continue
        parsed = parse_answer(part)
        letters = parsed.symbols
        if letters and (index == 0 or not last_symbols):
            continue
        if not _consistent(part, last, "≈" in signs[index:], context):
            return None
    return last


def _consistent(part: str, last: str, rounded: bool, context: Context) -> bool:
    if rounded:
        exact, shown = numeric_value(parse_answer(part)), read_number(last)
        if exact is None or shown is None:
            return context.same(part, last)
        decimals = len(last.partition(".")[2]) if "." in last else 0
        return abs(exact - shown.value) <= Fraction(51, 100) / 10**decimals
    return context.same(part, last) or equal(parse_answer(last), parse_answer(part), context.config)


def _exact_value(text: str) -> str:
    r"""``\sqrt{2}`` of ``\sqrt{2} \approx 1.41``: the exact member that its decimals round; empty if there is none."""
    parts, signs = forms.chain(text)
    if not signs or signs[-1] != "≈" or "." not in parts[-1] or "." in parts[-2]:
        return ""
    return "" if parse_answer(parts[-2]).symbols else parts[-2]


def equal_equations(gold: Parsed, answer: Parsed) -> bool:
    """Whether two equations, each parsed as left minus right side, are multiples of one another by a constant."""
    if not gold or not answer:
        return False
    try:
        numerators = [together(side.objects[0]).as_numer_denom()[0] for side in (gold, answer)]
        ratio = simplify(numerators[0] / numerators[1])
        return bool(ratio.is_number and ratio.is_finite and not ratio.is_zero)
    except MemoryError:
        raise
    except Exception:
        # SymPy raises where it cannot divide one kind of object by another: they are not equal.
        return False


def numeric_value(parsed: Parsed) -> Fraction | None:
    """Value of a real constant to 30 digits; None for anything else."""
    if not parsed or not isinstance(parsed.objects[0], Expr) or not parsed.objects[0].is_number:
        return None
    value = N(parsed.objects[0], 30)
    return Fraction(str(value)) if value.is_real and value.is_finite else None
