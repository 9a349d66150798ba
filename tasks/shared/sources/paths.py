"""Places in a publisher's row: dotted paths, and templates over them."""

import math
import re
from collections.abc import Mapping
from datetime import date, time
from decimal import Decimal
from typing import Any

from tasks.shared.sources.values import Unreadable, UnusableValue, as_text

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(-?\d+)\]")
_SLOT = re.compile(r"\{([^{}|]*)(?:\|([a-z]+))?\}")
_ENDS_OF_SENTENCE = (".", "!", "?", ":")


class MissingField(LookupError):
    """A row lacks the field; `field` is the path as far as it could not be followed."""

    REASON = "is missing"

    def __init__(self, field: str) -> None:
        super().__init__(self.REASON)
        self.field = field


def checked_spec(value: str) -> str:
    """`value` if it is a path or a template; raises ValueError with the two spellings where it is neither."""
    if not value.strip() or ("{" in value and not _SLOT.search(value)):
        raise ValueError(f"{value!r} names no field; write a path such as 'a.b[0]' or a template such as '{{a}} {{b}}'")
    for path in paths_of(value):
        checked_path(path)
    return value


def checked_path(value: str) -> str:
    """`value` if it is a dotted path; raises ValueError with the spelling where it is not."""
    _steps(value)
    return value


def paths_of(spec: str) -> list[str]:
    """The dotted paths that a path or template refers to."""
    return [match.group(1) for match in _SLOT.finditer(spec)] if "{" in spec else [spec]


def look_up(row: Mapping[str, Any], path: str) -> Any:
    """The value at `path` of `row`.

    Raises `MissingField` naming the step that could not be followed, or `UnusableValue` where it cannot be read.
    """
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
        elif isinstance(value, Unreadable):
            raise UnusableValue(value.reason)
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


def scalars(row: Mapping[str, Any], paths: Mapping[str, str]) -> dict[str, Any]:
    """Notes to keep beside a row: name to the value at its path, where there is one that JSON can hold.

    Dates and decimals are noted as text. No note is taken of lists, objects, null and NaN.
    """
    notes = {}
    for name, path in paths.items():
        try:
            value = look_up(row, path)
        except (MissingField, UnusableValue):
            continue
        if isinstance(value, date | time | Decimal):
            value = str(value)
        if isinstance(value, bytes):
            value = value.decode("utf-8", "backslashreplace")
        if isinstance(value, str | bool | int) or (isinstance(value, float) and math.isfinite(value)):
            notes[name] = value
    return notes


def _slot_text(row: Mapping[str, Any], match: re.Match[str]) -> str:
    text = as_text(look_up(row, match.group(1))).strip()
    if match.group(2) == "sentence" and text and not text.endswith(_ENDS_OF_SENTENCE):
        text += "."
    return text


def _steps(path: str) -> list[str | int]:
    steps: list[str | int] = []
    position = 0
    while position < len(path) or not path:
        match = _STEP.match(path, position)
        if not match:
            raise ValueError(f"{path!r} is not a path; write names with dots and indices in brackets, as 'a.b[0]'")
        name, index = match.groups()
        steps.append(name if index is None else int(index))
        position = match.end()
    return steps
