"""Extraction of the gold answer from what a publisher stores as the answer."""

import re
from decimal import Decimal, InvalidOperation
from typing import Any

from tasks.config import Frozen
from tasks.shared.sources.values import UnusableValue, as_text, check_decoded, check_text

_CALCULATOR = re.compile(r"<<[^<>]*>>")
_NUMBER = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)(\.\d+)?([eE][+-]?\d+)?|[+-]?\.\d+", re.ASCII)
# Wider numbers are more likely identifiers or damage than answers, and would be spelled out digit by digit.
_MAX_EXPONENT = 60


class AnswerRule(Frozen):
    """How the gold answer is taken from the answer field; steps apply in the order of the fields."""

    first_of_list: bool = False
    """The field holds a list: take its first entry."""
    drop_calculator_marks: bool = False
    """Remove GSM8K's `<<48/2=24>>`."""
    after: str = ""
    """Take what follows the last occurrence of this marker, e.g. `####`."""
    last_boxed: bool = False
    r"""Take the content of the last `\boxed{}` (or `\fbox{}`)."""
    number: bool = False
    """Spell plain numbers one way: `27.0` and `027` as `27`, `2,125` as `2125`. Other text stays as it is."""


def extract_answer(value: Any, rule: AnswerRule) -> str:
    """The gold answer in `value` under `rule`. Raises `UnusableValue` with the reason where there is none."""
    if rule.first_of_list:
        if not isinstance(value, list | tuple):
            raise UnusableValue(f"is {type(value).__name__}, not a list")
        if not value:
            raise UnusableValue("is an empty list")
        value = value[0]
    text = as_text(value)
    if rule.drop_calculator_marks:
        text = _CALCULATOR.sub("", text)
    if rule.after:
        _, marker, text = text.rpartition(rule.after)
        if not marker:
            raise UnusableValue(f"has no {rule.after!r}")
    if rule.last_boxed:
        text = last_boxed(text)
    text = text.strip()
    if rule.number:
        text = tidy_number(text)
    if not text:
        raise UnusableValue("is empty")
    check_text(text)
    check_decoded(text)
    return text


def last_boxed(text: str) -> str:
    r"""Content of the last `\boxed{...}` or `\fbox{...}` of `text`, braces matched; raises `UnusableValue`."""
    start, opening = max((text.rfind(command), len(command)) for command in (r"\boxed", r"\fbox"))
    if start < 0:
        raise UnusableValue(r"has no \boxed{}")
    rest = text[start + opening :].lstrip()
    if not rest.startswith("{"):
        raise UnusableValue(r"has a \boxed without braces")
    depth = 0
    for index, character in enumerate(rest):
        if character in "{}" and (index == 0 or rest[index - 1] != "\\"):
            depth += 1 if character == "{" else -1
        if depth == 0:
            return rest[1:index]
    raise UnusableValue(r"ends inside its last \boxed{}")


def tidy_number(text: str) -> str:
    """A plain decimal number without thousands commas, trailing zeros and leading zeros; other text unchanged."""
    if not _NUMBER.fullmatch(text):
        return text
    try:
        number = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return text
    if not number:
        return "0"
    if abs(number.adjusted()) > _MAX_EXPONENT:
        return text
    plain = f"{number:f}"
    return plain.rstrip("0").rstrip(".") if "." in plain else plain
