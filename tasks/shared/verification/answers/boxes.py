r"""Boxes in a text: ``\boxed{...}``, ``\fbox`` and ``\framebox``, with their braces balanced, in one pass."""

import re
from typing import NamedTuple

from tasks.shared.verification.answers.statements import clean

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*")
_BRACE = re.compile(r"\{|\}|\\(?:(?P<box>(?:boxed|fbox|framebox)\s*)\{?|.)", re.DOTALL)
_BARE = re.compile(r"[^\s$\\]+")
"""Content of a box without braces."""


def has_box(text: str) -> bool:
    """Whether the command of a box stands in a text."""
    return _BOX.search(text) is not None


class Box(NamedTuple):
    """A complete box, from its command to its closing brace, and what is in it."""

    start: int
    end: int
    content: str


def boxes_of(text: str) -> list[Box]:
    """Complete boxes that hold no other box, in one pass over the text."""
    found: list[Box] = []
    braces: list[tuple[int, int] | None] = []
    inner_start = -1
    for match in _BRACE.finditer(text) if has_box(text) else ():
        mark = match.group()
        if mark == "{" or (match.group("box") and mark.endswith("{")):
            braces.append((match.start(), match.end()) if match.group("box") else None)
        elif match.group("box"):
            bare = _BARE.match(text, match.end(), match.end() + 100)
            if content := bare.group().rstrip(".,") if bare else "":
                found.append(Box(match.start(), match.end() + len(content), clean(content)))
        elif mark == "}" and braces:
            box = braces.pop()
            content = clean(text[box[1] : match.start()]) if box else ""
            if box and content and inner_start < box[0]:
                found.append(Box(box[0], match.end(), content))
                inner_start = box[0]
    return found
