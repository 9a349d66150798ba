r"""Decide whether a completion's final answer equals the gold answer.

The decision, in this order; the first rule that applies ends it:

1. The texts read the same (spacing, ``\text``, ``\left`` apart): correct.
2. Both are numerals, percentages or numerals with a base: compared exactly, see `numbers` and `_percent`.
3. A gold answer made of words, or a choice letter, is right only as the same words or letter.
4. The gold answer does not parse: error. It is the data that is at fault, so it never counts as wrong.
5. The answer is a form that must not be rewarded although algebra would make it equal:
   work left undone (``\int_0^1 x^2 dx`` for 1/3) unless the gold has the same operators; an equation chain whose
   members differ (``x = 3 = 5``); ``\{1,2\}`` for the point (1,2) and the reverse. Wrong.
6. Its value is out of reach (`cost`): timeout, without a try.
7. Math-Verify compares the two, gold first.

This module runs in a child process that may be killed at any time; it sets no alarm and keeps no state but caches.
"""

import logging
from functools import lru_cache
from typing import Any

from math_verify import LatexExtractionConfig, parse, verify
from sympy import Basic, Float, N

from tasks.verification import forms
from tasks.verification.config import VerificationConfig
from tasks.verification.cost import too_costly
from tasks.verification.extraction import extract_answer
from tasks.verification.numbers import Numeral, numbers_agree, read_number, split_percent
from tasks.verification.verdict import Verdict, VerdictName

logging.getLogger("math_verify").setLevel(logging.CRITICAL)
logging.getLogger("latex2sympy2_extended").setLevel(logging.CRITICAL)

Decision = tuple[VerdictName, str]

_TARGETS = (LatexExtractionConfig(boxed_match_priority=0),)
_SMALL = 1e-2


def grade(completion: str, gold: str, config: VerificationConfig) -> Verdict:
    """Extract the final answer of `completion` and compare it with `gold` (verbatim text of the gold answer)."""
    extracted = extract_answer(completion, config.extraction)
    if extracted is None:
        return Verdict("unparsed", None, "no final answer found")
    name, detail = compare(extracted, gold, config)
    return Verdict(name, extracted, detail)


@lru_cache(maxsize=16_384)
def compare(answer: str, gold: str, config: VerificationConfig) -> Decision:
    """Verdict and reason for one extracted answer. Pure; may run for ever, so a caller needs a deadline."""
    if len(answer) > max(config.max_answer_chars, len(gold)):
        return "unparsed", f"answer has {len(answer)} characters, the limit is {config.max_answer_chars}"
    if forms.normal_form(answer) == forms.normal_form(gold):
        return "correct", "same text"
    quick = _numerals(answer, gold, config) or _percent(answer, gold, config) or _with_base(answer, gold)
    if quick is None:
        quick = _words(answer, gold)
    if quick is not None:
        return quick
    parsed_gold = _parsed_gold(gold)
    if not parsed_gold:
        return "error", f"gold does not parse: {gold[:200]!r}"
    return _form(answer, gold) or _algebra(answer, gold, parsed_gold, config)


def _decide(equal: bool, how: str) -> Decision:
    return ("correct", f"equal as {how}") if equal else ("wrong", f"differs as {how}")


def _numerals(answer: str, gold: str, config: VerificationConfig) -> Decision | None:
    left, right = read_number(gold), read_number(answer)
    if left is None or right is None:
        return None
    return _decide(_agree(left, right, config), "a number")


def _agree(gold: Numeral, answer: Numeral, config: VerificationConfig) -> bool:
    return numbers_agree(gold, answer, config.float_decimals, config.relative_tolerance)


def _percent(answer: str, gold: str, config: VerificationConfig) -> Decision | None:
    r"""Percentages: every pair has one reading, so that no answer is right for two different gold values.

    Two percentages compare as they stand. Where one side is bare, its size decides (ours): below 1 it is a
    proportion (10\% equals 0.1), from 1 on it is a number of percent (10\% matches a gold 10, as in "what percent ...").
    """
    (gold_body, gold_sign), (answer_body, answer_sign) = split_percent(gold), split_percent(answer)
    if not (gold_sign or answer_sign):
        return None
    left, right = read_number(gold_body), read_number(answer_body)
    if left is None or right is None:
        return None
    if gold_sign != answer_sign:
        bare = right if gold_sign else left
        if abs(bare.value) < 1:
            left = Numeral(left.value / 100, left.rounded) if gold_sign else left
            right = Numeral(right.value / 100, right.rounded) if answer_sign else right
    return _decide(_agree(left, right, config), "a percentage")


def _with_base(answer: str, gold: str) -> Decision | None:
    """``52_8``: the base may be left out of the answer, but not be another one."""
    gold_form, answer_form = forms.numeral_with_base(gold), forms.numeral_with_base(answer)
    if gold_form and answer_form:
        return _decide(gold_form == answer_form, "a numeral with a base")
    if gold_form:
        return _decide(forms.normal_form(answer).upper() == gold_form[0], "digits in the gold's base")
    if answer_form:
        number = read_number(gold)
        try:
            value = int(*answer_form)
        except ValueError:
            return "unparsed", f"digits do not exist in base {answer_form[1]}"
        return _decide(value == number.value, "a numeral with a base") if number else None
    return None


def _words(answer: str, gold: str) -> Decision | None:
    letter = forms.choice_letter(gold)
    if letter is not None and (gold.strip("$ ") != letter):
        return _decide(forms.choice_letter(answer) == letter, "a choice")
    return _decide(False, "words") if forms.is_text(gold) else None


def _form(answer: str, gold: str) -> Decision | None:
    left_undone = forms.unevaluated_operators(answer) - forms.unevaluated_operators(gold)
    if left_undone:
        return "wrong", f"work left undone: {', '.join(sorted(left_undone))}"
    kinds = {forms.delimiter(gold), forms.delimiter(answer)}
    if kinds == {"set", "tuple"}:
        return "wrong", "a set is not a tuple"
    costly = None if too_costly(gold) else too_costly(answer)
    return ("timeout", f"not evaluated: {costly}") if costly else None


def _algebra(answer: str, gold: str, parsed_gold: list[Any], config: VerificationConfig) -> Decision:
    resolved = resolve_chains(answer, config)
    if resolved is None:
        return "wrong", "equation chain with members that differ"
    parsed = _parse(_signs_of_percent(resolved, gold))
    if not parsed:
        return "unparsed", "answer does not read as mathematics"
    return _decide(_equal(parsed_gold, parsed, config), "an expression")


def _signs_of_percent(answer: str, gold: str) -> str:
    r"""Percent signs inside a longer answer mean 1/100, unless the gold has none or as many: then they are units."""
    if "%" not in answer or answer.count("%") == gold.count("%"):
        return answer
    return answer.replace(r"\%", "%").replace("%", r" \cdot \frac{1}{100}")


def resolve_chains(answer: str, config: VerificationConfig) -> str | None:
    r"""Replace each consistent chain ``name = a = b`` by ``name = b``; None where members of a chain differ.

    A leading member with letters of its own, where the last has none, is a name or the asked-for expression
    (``x + y = 36``), not a value; a member that does not parse (a name such as ``m_{\max}``) is dropped; every other
    member must equal the last.
    """
    if "=" not in answer:
        return answer
    opening, inner, closing = forms.enclosing(forms.for_algebra(answer))
    resolved = []
    for element in forms.split_top(inner):
        members = forms.equation_members(element)
        kept = _resolve(members, config) if len(members) > 1 else element
        if kept is None:
            return None
        resolved.append(kept)
    return opening + ", ".join(resolved) + closing


def _resolve(members: list[str], config: VerificationConfig) -> str | None:
    last = _parse(members[-1])
    last_symbols = _symbols(last)
    name = ""
    for index, member in enumerate(members[:-1]):
        parsed = _parse(member)
        symbols = _symbols(parsed)
        equation = len(members) == 2 and bool(symbols or last_symbols)
        if not parsed:
            continue
        if equation or (symbols and (index == 0 or not last_symbols)):
            name = name or member
        elif not _equal(last, parsed, config):
            return None
    return f"{name} = {members[-1]}" if name else members[-1]


def _symbols(parsed: list[Any]) -> set[Any]:
    return set().union(*(item.free_symbols for item in parsed if isinstance(item, Basic)))


@lru_cache(maxsize=16_384)
def _parsed_gold(gold: str) -> list[Any]:
    return _parse(gold)


def _parse(text: str) -> list[Any]:
    """SymPy objects of one answer; an empty list where it does not parse. MemoryError passes through."""
    try:
        return parse(
            rf"\boxed{{{forms.for_algebra(text)}}}",
            extraction_config=_TARGETS,
            fallback_mode="no_fallback",
            parsing_timeout=None,
            raise_on_error=True,
        )
    except MemoryError:
        raise
    except Exception:
        return []


def _equal(gold: list[Any], answer: list[Any], config: VerificationConfig) -> bool:
    if not gold or not answer:
        return False
    try:
        equal = verify(
            gold, answer, float_rounding=config.float_decimals, timeout_seconds=None, raise_on_error=True
        )
        return equal and _near(gold[0], answer[0], config.relative_tolerance)
    except MemoryError:
        raise
    except Exception:
        # Math-Verify raises where two kinds of object cannot be compared: they are not equal.
        return False


def _near(gold: Any, answer: Any, tolerance: float) -> bool:
    """Refuse a match of rounded values that exists only because both are next to zero."""
    if not (isinstance(gold, Basic) and isinstance(answer, Basic) and gold.is_number and answer.is_number):
        return True
    if not (gold.has(Float) or answer.has(Float)):
        return True
    left, right = N(gold), N(answer)
    return bool(abs(left) >= _SMALL or abs(left - right) <= tolerance * max(abs(left), abs(right)))
