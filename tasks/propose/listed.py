"""The items of a list that a model wrote."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

_ITEM = re.compile(r"^[ \t>*#_]*(?:\d{1,3}[.):]|[-*•])[ \t*_]*(?=\S)", re.MULTILINE)
"""Begin of an item: a number or a bullet at the head of a line, whatever Markdown stands around it."""
_MARKS = re.compile(r"[*_`#]{2,}")


def items(text: str, *, whole: bool) -> list[str]:
    """Each item on one line, in order; lines that follow an item belong to it, what stands before the first to none.

    Args:
        whole: whether the text ended by itself; of one that was cut the last item is left out.
    """
    found = [" ".join(_MARKS.sub("", part).split()) for part in _ITEM.split(text)[1:]]
    return [item for item in (found if whole else found[:-1]) if item]


@dataclass
class Chosen:
    """Proposals of a question, and what was listed besides."""

    texts: list[str]
    repeated: int
    beyond: int
    """Different ones beyond the count."""


def choose(listed: Iterable[str], count: int) -> Chosen:
    """The first `count` different items; case, and a full stop at the end, make no difference."""
    listed = list(listed)
    different: dict[str, str] = {}
    for item in listed:
        different.setdefault(item.casefold().rstrip(". "), item)
    texts = list(different.values())
    return Chosen(texts[:count], len(listed) - len(texts), max(0, len(texts) - count))
