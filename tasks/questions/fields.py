"""Where question and answer stand in a publisher's row: dotted paths and templates."""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import field_validator

from tasks.config import Frozen
from tasks.questions.answers import AnswerRule, as_text

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]")
_SLOT = re.compile(r"\{([^{}|]*)(?:\|([a-z]+))?\}")
_ENDS_OF_SENTENCE = (".", "!", "?", ":")


class MissingField(LookupError):
    """A row lacks the field; `field` is the path as far as it could not be followed."""

    REASON = "is missing"

    def __init__(self, field: str) -> None:
        super().__init__(self.REASON)
        self.field = field


class FieldMapping(Frozen):
    """Which fields of a row become the question, the answer and the notes kept beside them.

    A field is named by a dotted path (`prompt[0].content`) or a template (`{Body|sentence} {Question}`, where
    `|sentence` ends the text with a full stop if it ends without a mark).
    """

    question: str
    """Path or template of the question text."""
    answer: str
    """Path or template of the answer."""
    answer_rule: AnswerRule = AnswerRule()
    """How the gold answer is taken from that field."""
    remove: tuple[str, ...] = ()
    """Fixed texts to delete from the question, e.g. a prompt wrapped around it."""
    id: str = ""
    """Path of the publisher's own id, kept as `meta.id`; ids of this project come from the text."""
    meta: dict[str, str] = {}
    """Further values to keep: name in `meta` to path. A row may lack them."""

    @field_validator("question", "answer")
    @classmethod
    def _names_a_field(cls, value: str) -> str:
        if not value.strip() or ("{" in value and not _SLOT.search(value)):
            raise ValueError(
                f"{value!r} names no field; write a path such as 'a.b[0]' or a template such as '{{a}} {{b}}'"
            )
        for path in paths_of(value):
            _steps(path)
        return value


def paths_of(spec: str) -> list[str]:
    """The dotted paths that a path or template refers to."""
    return [match.group(1) for match in _SLOT.finditer(spec)] if "{" in spec else [spec]


def look_up(row: Mapping[str, Any], path: str) -> Any:
    """The value at `path` of `row`. Raises `MissingField` naming the step that could not be followed."""
    if path in row:
        return row[path]
    value: Any = row
    done = ""
    for step in _steps(path):
        done += f"[{step}]" if isinstance(step, int) else f".{step}" if done else step
        if isinstance(step, int):
            if not isinstance(value, list | tuple) or not -len(value) <= step < len(value):
                raise MissingField(done)
            value = value[step]
        elif isinstance(value, Mapping) and step in value:
            value = value[step]
        else:
            raise MissingField(done)
    return value


def resolve(row: Mapping[str, Any], spec: str) -> Any:
    """The value of a path, or the text of a template filled from `row`.

    Raises `MissingField`, or `UnusableValue` where a template's field is not text or a number.
    """
    if "{" not in spec:
        return look_up(row, spec)
    return _SLOT.sub(lambda match: _slot_text(row, match), spec)


def _slot_text(row: Mapping[str, Any], match: re.Match[str]) -> str:
    text = as_text(look_up(row, match.group(1))).strip()
    if match.group(2) == "sentence" and text and not text.endswith(_ENDS_OF_SENTENCE):
        text += "."
    return text


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    position = 0
    while position < len(path):
        match = _STEP.match(path, position)
        if not match:
            raise ValueError(
                f"{path!r} is not a path; write names with dots and indices in brackets, as 'a.b[0]'"
            )
        name, index = match.groups()
        steps.append(name if index is None else int(index))
        position = match.end()
    return steps
