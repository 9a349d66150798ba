"""Errors and rejects of data from outside, and how both are worded."""

from dataclasses import dataclass
from typing import Any

from tasks.errors import Permanent

_EXCERPT = 120


class SourceError(Permanent):
    """A source, preset or mapping that cannot be used; the message names field, value, place and fix."""


@dataclass(frozen=True, slots=True)
class Record:
    """One row as its publisher wrote it, and where it stood."""

    file: str
    line: int
    row: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that cannot be used, with the reason; listed, never dropped silently."""

    file: str
    line: int
    field: str
    value: str
    reason: str


def excerpt(value: Any) -> str:
    """A printable beginning of any value, fit for a table of rejects."""
    try:
        text = value if isinstance(value, str) else repr(value)
    except RecursionError:
        text = "(nested too deeply to be shown)"
    text = " ".join(text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0").split())
    return text if len(text) <= _EXCERPT else text[: _EXCERPT - 3] + "..."
