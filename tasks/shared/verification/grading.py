r"""Decide whether a completion's final answer equals the gold answer.

The decision, in this order; the first rule that applies ends it:

1. The texts read the same (spacing, ``\text``, ``\left`` apart): correct.
2. The answer's value is out of reach (`cost`) and the gold's is not: timeout, without a try.
3. An equation chain whose members differ (``x = 3 = 5``): wrong. Any other chain goes on as its last member.
4. Both are numerals, percentages or numerals with a base: compared exactly, see `numbers` and `_percent`.
5. A gold answer made of words, or a choice letter: right only as the same words or letter.
6. The gold answer does not parse: error. It is the data that is at fault, so it never counts as wrong.
7. Work left undone (``\int_0^1 x^2 dx`` for 1/3) where the gold has no such operator: wrong.
8. ``\{1,2\}`` for the point (1,2), or the reverse: wrong.
9. Math-Verify compares the two, gold first.

This module runs in a child process that may be killed at any time; it sets no alarm and keeps no state but
caches.
"""

from functools import lru_cache

from tasks.shared.verification import forms
from tasks.shared.verification.algebra import equal, parse_answer, parsed_gold, resolve_chains
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.cost import too_costly
from tasks.shared.verification.extraction import extract_answer
from tasks.shared.verification.numbers import Numeral, numbers_agree, read_number, split_percent
from tasks.shared.verification.verdict import Verdict, VerdictName

Decision = tuple[VerdictName, str]


def grade(completion: str, gold: str, config: VerificationConfig) -> Verdict:
    """Extract the final answer of `completion` and compare it with `gold`, the gold answer's text."""
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
    costly = None if too_costly(gold) else too_costly(answer)
    if "=" in answer and not costly:
        resolved = resolve_chains(answer, config)
        if resolved is None:
            return "wrong", "equation chain with members that differ"
        answer = resolved if "=" in gold else forms.assigned_value(resolved)
    if costly:
        return "timeout", f"not evaluated: {costly}"
    return _compare_value(answer, gold, config)


def _compare_value(answer: str, gold: str, config: VerificationConfig) -> Decision:
    if forms.normal_form(answer) == forms.normal_form(gold):
        return "correct", "same value"
    quick = _numerals(answer, gold, config) or _percent(answer, gold, config) or _with_base(answer, gold)
    quick = quick or _words(answer, gold)
    if quick:
        return quick
    if not parsed_gold(gold):
        return "error", f"gold does not parse: {gold[:200]!r}"
    return _form(answer, gold) or _algebra(answer, gold, config)


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
    proportion (10\% equals 0.1), from 1 on it is a number of percent (10\% matches a gold 10, as in "what
    percent ...").
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
    return None


def _algebra(answer: str, gold: str, config: VerificationConfig) -> Decision:
    parsed = parse_answer(_signs_of_percent(answer, gold))
    if not parsed:
        return "unparsed", "answer does not read as mathematics"
    return _decide(equal(parsed_gold(gold), parsed, config), "an expression")


def _signs_of_percent(answer: str, gold: str) -> str:
    r"""Percent signs inside a longer answer mean 1/100; where the gold has as many, they are units."""
    if "%" not in answer or answer.count("%") == gold.count("%"):
        return answer
    return answer.replace(r"\%", "%").replace("%", r" \cdot \frac{1}{100}")
