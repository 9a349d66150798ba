r"""Boxes in a text: ``\boxed{...}``, ``\fbox`` and ``\framebox``, with their braces balanced, in one pass."""

import re
from typing import NamedTuple

from tasks.shared.verification.answers.statements import clean

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*")
_BRACE = re.compile(r"\{|\}|\\(?:(?P<box>(?:boxed|fbox|framebox)\s*)\{?|.)", re.DOTALL)


def has_box(text: str) -> bool:
    """Whether the command of a box stands in a text."""
    return "\\" in text and _BOX.search(text) is not None


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
            if content := argument(text, match.end()):
                found.append(Box(match.start(), match.end() + len(content), clean(content)))
        elif mark == "}" and braces:
            box = braces.pop()
            content = clean(text[box[1] : match.start()]) if box else ""
            if box and content and inner_start < box[0]:
                found.append(Box(box[0], match.end(), content))
                inner_start = box[0]
    return found


def argument(text: str, start: int) -> str | None:
    r"""Content of the balanced braces that open at `start` (``\{`` does not count); a bare token without
    braces.
    """
    if not text.startswith("{", start):
        bare = re.match(r"[^\s$\\]+", text[start : start + 100])
        return bare.group().rstrip(".,") if bare else None
    depth = 0
    position = start
    while position < len(text):
        character = text[position]
        if character == "\\":
            position += 1
        elif character == "{":
            depth += 1
        elif character == "}":
            depth -= 1
            if depth == 0:
                return text[start + 1 : position]
        position += 1
    return None
