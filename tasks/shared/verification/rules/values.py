"""Rules for one value: numerals, percentages, units, words, ratios, numerals with a base, and algebra for the rest."""

import re
from functools import lru_cache

from tasks.shared.verification import forms
from tasks.shared.verification.algebra import Parsed, equal, parse_answer, parsed_gold
from tasks.shared.verification.answers.spelling import spell
from tasks.shared.verification.answers.units import split_unit
from tasks.shared.verification.answers.words import (
    any_choice_letter,
    choice_letter,
    choice_letters,
    is_name,
    is_no_solution,
    same_name,
    same_words,
    split_choice,
    words,
)
from tasks.shared.verification.numbers import Numeral, numbers_agree, read_number, split_percent
from tasks.shared.verification.rules.decision import Context, Decision, decide

_RATIO = re.compile(r"(\d+)\s*(?::|\\text\s*\{\s*to\s*\}|to)\s*(\d+)(?:\s*:\s*(\d+))?")
_DATE = re.compile(r"\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{4}")
_CLOCK = re.compile(r"(\d{1,2}):[0-5]\d")


def number(answer: str, gold: str, context: Context) -> Decision | None:
    """Two numerals are compared exactly, or after rounding where one is a decimal."""
    left, right = read_number(gold), read_number(answer)
    if left is None or right is None:
        return None
    return decide(_agree(left, right, context), "equal", "another number")


def _agree(gold: Numeral, answer: Numeral, context: Context) -> bool:
    return numbers_agree(gold, answer, context.config.float_decimals, context.config.relative_tolerance)


def choice(answer: str, gold: str, context: Context) -> Decision | None:
    """The letter of a choice decides, of several all of them, unless the gold answer has them in an order of its own; a
    value behind it decides where only one of both sides has a letter.
    """
    (expected, apart), (chosen, chosen_apart) = choice_letters(gold), choice_letters(answer)
    if expected and chosen and (apart or chosen_apart) and list(expected) == sorted(expected):
        return decide(set(expected) == set(chosen), "the same choices", "other choices")
    letter = choice_letter(gold)
    if letter is not None:
        return decide(any_choice_letter(answer) == letter, "the same choice", "another choice")
    (gold_letter, gold_value), (answer_letter, answer_value) = split_choice(gold), split_choice(answer)
    if gold_letter and any_choice_letter(answer):
        same = any_choice_letter(answer) == gold_letter
        if same and answer_letter:
            return context.compare(answer_value, gold_value)
        return decide(same, "the same choice", "another choice")
    if gold_letter or answer_letter:
        return context.compare(answer_value, gold_value)
    return None


def no_solution(answer: str, gold: str, context: Context) -> Decision | None:
    """Every way to say that there is no solution is the same."""
    left, right = is_no_solution(gold), is_no_solution(answer)
    return decide(left and right, "no solution", "only one has a solution") if left or right else None


def percent(answer: str, gold: str, context: Context) -> Decision | None:
    r"""Two percentages compare as they stand. Where one side is bare, its size decides: up to 1 it is a proportion,
    above it is a number of percent. What is no numeral is a proportion.

    So each answer has one reading for each gold answer: 50 percent is 50 and 0.5, and 1 percent is 0.01 and never 1.
    """
    (gold_body, gold_sign), (answer_body, answer_sign) = split_percent(gold), split_percent(answer)
    if not (gold_sign or answer_sign):
        return None
    if gold_sign and answer_sign:
        return context.compare(answer_body, gold_body)
    left, right = read_number(gold_body), read_number(answer_body)
    if left is None or right is None:
        parts = [
            f"({body})/100" if sign else body for body, sign in ((answer_body, answer_sign), (gold_body, gold_sign))
        ]
        return context.compare(parts[0], parts[1])
    bare = right if gold_sign else left
    if abs(bare.value) <= 1:
        left = Numeral(left.value / 100, left.rounded) if gold_sign else left
        right = Numeral(right.value / 100, right.rounded) if answer_sign else right
    return decide(_agree(left, right, context), "an equal percentage", "another percentage")


def unit(answer: str, gold: str, context: Context) -> Decision | None:
    """Units must say the same where both sides have one; then the values decide. Opposite a unit, what may be a
    variable is the symbol of that unit, and of no other.
    """
    (gold_value, gold_unit), (answer_value, answer_unit) = split_unit(gold), split_unit(answer)
    if (gold_unit or answer_unit) and not (gold_unit and answer_unit and gold_unit.agrees(answer_unit)):
        (gold_part, gold_measure), (answer_part, answer_measure) = (
            split_unit(text, symbols=True) for text in (gold, answer)
        )
        if gold_measure and answer_measure and gold_measure.measures and gold_measure.agrees(answer_measure):
            gold_value, gold_unit, answer_value, answer_unit = gold_part, gold_measure, answer_part, answer_measure
    if (gold_unit is None and answer_unit is None) or any(
        words(value) and read_number(value) is None for value in (gold_value, answer_value)
    ):
        return None
    if gold_unit and answer_unit and not gold_unit.agrees(answer_unit):
        return "wrong", "another unit"
    return context.compare(answer_value, gold_value)


def ratio(answer: str, gold: str, context: Context) -> Decision | None:
    """Ratios may be scaled, and be written as a quotient; a clock time may not. Dates are no differences."""
    dates = [_DATE.fullmatch(spell(text)) for text in (gold, answer)]
    if any(dates):
        parts = [[int(part) for part in re.findall(r"\d+", date.group())] for date in dates if date]
        return decide(len(parts) == 2 and parts[0] == parts[1], "the same date", "another date")
    if not (_RATIO.fullmatch(spell(gold)) or _RATIO.fullmatch(spell(answer))):
        return None
    left, right = _terms(gold), _terms(answer)
    if left is None or right is None:
        return None
    if _is_clock(gold) or _is_clock(answer):
        return decide(left == right, "the same time", "another time")
    scaled = len(left) == len(right) and all(a * right[0] == b * left[0] for a, b in zip(left, right, strict=True))
    return decide(scaled, "an equal ratio", "another ratio")


def _terms(text: str) -> tuple[int, ...] | None:
    match, number = _RATIO.fullmatch(spell(text)), read_number(text)
    if match:
        return tuple(int(term) for term in match.groups() if term)
    return number.value.as_integer_ratio() if number else None


def _is_clock(text: str) -> bool:
    match = _CLOCK.fullmatch(spell(text))
    return bool(match) and int(match.group(1)) <= 24


def with_base(answer: str, gold: str, context: Context) -> Decision | None:
    """``52_8``: the base may be left out of the answer, but not be another one."""
    gold_form, answer_form = forms.numeral_with_base(gold), forms.numeral_with_base(answer)
    if gold_form and answer_form:
        return decide(gold_form == answer_form, "the same digits", "other digits or another base")
    if gold_form:
        digits = forms.normal_form(answer).upper().replace(",", "")
        return decide(digits == gold_form[0], "the same digits", "other digits")
    value = read_number(gold) if answer_form else None
    if answer_form is None or value is None:
        return None
    try:
        return decide(int(*answer_form) == value.value, "equal", "another number")
    except ValueError:
        return "unparsed", f"digits do not exist in base {answer_form[1]}"


def in_words(answer: str, gold: str, context: Context) -> Decision | None:
    """Words are right only as the same words, and names such as ABC only as the same letters in order."""
    if is_name(gold) and is_name(answer):
        return decide(same_name(answer) == same_name(gold), "the same name", "another name")
    if words(gold) or words(answer):
        return decide(same_words(answer) == same_words(gold), "the same words", "other words")
    return None


def left_undone(answer: str, gold: str, context: Context) -> Decision | None:
    """An operation that the gold answer does not have is work left undone."""
    left = forms.operations_left(answer, gold, gold_is_value=read_number(gold) is not None)
    if left:
        return "wrong", f"work left undone: {', '.join(sorted(left))}"
    extra = forms.decoration(answer) - forms.decoration(gold)
    return ("wrong", f"marks that the gold has not: {', '.join(sorted(extra))}") if extra else None


def algebra(answer: str, gold: str, context: Context) -> Decision | None:
    """Computer algebra compares what is left, the gold answer first."""
    if answer != gold:
        answer, gold = forms.told_apart(answer, gold)
    expected = parsed_gold(gold)
    if not expected:
        return "error", f"gold does not parse: {gold[:200]!r}"
    parsed = expected if answer == gold else _parsed(answer)
    if not parsed:
        return "unparsed", "answer does not read as mathematics"
    return decide(equal(expected, parsed, context.config), "an equal expression", "another expression")


@lru_cache(maxsize=256)
def _parsed(answer: str) -> Parsed:
    """A member of a list is compared with one gold after the other."""
    return parse_answer(answer)
