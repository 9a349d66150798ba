"""Multiple choice: the choices as lettered lines below the question, the right one as a letter."""

import ast
import hashlib
import string
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from tasks.config import Frozen
from tasks.shared.sources.paths import look_up
from tasks.shared.sources.values import UnusableValue, as_text, check_text


class ChoiceFields(Frozen):
    """Where the choices of a question stand, and in which order they are shown."""

    paths: tuple[str, ...] = Field(min_length=1)
    """Path of the list of choices (or of a text that spells one, as Python does), or the paths of the single ones."""
    order: Literal["row", "drawn"] = "row"
    """As they stand, or drawn by each choice's own hash with the question: where the right one always comes first."""


def lettered(row: Mapping[str, Any], question: str, right: Any, fields: ChoiceFields) -> tuple[str, str]:
    """The question with its choices, and the letter of the right one.

    `right` is the right choice's text, its letter, or its number from 0.

    Raises:
        MissingField: the row lacks a field.
        UnusableValue: there are no two choices, some are alike, or none of them is the right one.
    """
    choices = _choices(row, fields)
    if not 2 <= len(choices) <= len(string.ascii_uppercase) or len(set(choices)) < len(choices):
        raise UnusableValue(f"has choices that cannot be told apart by letters: {choices!r}"[:200])
    answer = _right(right, choices)
    if fields.order == "drawn":
        choices.sort(key=lambda choice: hashlib.sha256(f"{question}\0{choice}".encode()).digest())
    lines = [f"({letter}) {choice}" for letter, choice in zip(string.ascii_uppercase, choices, strict=False)]
    return "\n".join([question, "", *lines]), string.ascii_uppercase[choices.index(answer)]


def _choices(row: Mapping[str, Any], fields: ChoiceFields) -> list[str]:
    found = [look_up(row, path) for path in fields.paths]
    if len(found) == 1:
        found = found[0]
        if isinstance(found, str):
            try:
                found = ast.literal_eval(found)
            except (ValueError, SyntaxError) as error:
                raise UnusableValue(f"has choices that spell no list: {error}") from error
        if not isinstance(found, list | tuple):
            raise UnusableValue("has choices that are no list")
    choices = [as_text(choice).strip() for choice in found]
    for choice in choices:
        check_text(choice)
    return choices


def _right(right: Any, choices: list[str]) -> str:
    text = as_text(right).strip()
    if text in choices:
        return text
    letter = text.strip("().").upper()
    number = int(text) if text.isdecimal() else string.ascii_uppercase.find(letter) if len(letter) == 1 else -1
    if not 0 <= number < len(choices):
        raise UnusableValue(f"{text[:80]!r} is none of the {len(choices)} choices, no letter and no number of one")
    return choices[number]
