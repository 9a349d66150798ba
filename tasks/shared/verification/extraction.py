r"""Find the final answer in a completion: pure text work, linear in its length.

The forms, tried in the configured order; of each form the last occurrence counts:

* ``boxed``: the last complete ``\boxed{...}`` (or ``\fbox``, ``\framebox``), braces balanced.
* ``hash``: the rest of the line after the last ``####``, as in GSM8K.
* ``phrase``: what follows the last "answer is", "answer:" or "answer =", to the end of the sentence.

A reasoning model's text counts only behind its last thought; one whose last thought is never closed has given no
answer (`tasks.shared.thoughts`).
"""

import re
from collections.abc import Callable, Sequence

from tasks.shared.thoughts import answer_part

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*")
_HASH = re.compile(r"####[ \t]*([^\n]*)")
_PHRASE = re.compile(
    r"\banswer(?:\s+to\s+[^.\n]{1,80}?)?\s*(?:\b(?:is|would be|must be|equals)\b|[:=])\s*:?", re.IGNORECASE
)
_CURRENCY_AMOUNT = re.compile(r"\$\d[\d,]*(?:\.\d+)?[.,]?(?:\s+[A-Za-z]|\s*$)")
_SENTENCE_END = re.compile(r"\.(?=\s|$)")
_DELIMITED = re.compile(r"\\\((.+?)\\\)|\\\[(.+?)\\\]|\$\$?(.+?)(?<!\\)\$\$?", re.DOTALL)
_PHRASE_SCAN_CHARS = 4_000


def extract_answer(completion: str, forms: Sequence[str] = ("boxed", "hash", "phrase")) -> str | None:
    r"""Return the final answer of `completion` without its mark-up, or None where no form occurs.

    `forms` are names of `EXTRACTORS`; a form that yields nothing passes on to the next.
    """
    text = answer_part(completion)
    if text is None:
        return None
    for form in forms:
        answer = EXTRACTORS[form](text)
        if answer:
            return answer
    return None


def _boxed(text: str) -> str | None:
    end = len(text)
    for match in reversed(list(_BOX.finditer(text))):
        content = argument(text, match.end(), end)
        if content is not None and content.strip():
            return clean(content)
        if content is None and text.startswith("{", match.end()):
            # Nothing that opens before a box that is never closed can be closed behind it: each character is read once.
            end = match.start()
    return None


def argument(text: str, start: int, end: int | None = None) -> str | None:
    r"""Content of the balanced braces that open at `start` (``\{`` does not count) and close before `end`, if that is
    given; a bare token without braces.
    """
    if not text.startswith("{", start):
        bare = re.match(r"[^\s$\\]+", text[start : start + 100])
        return bare.group().rstrip(".,") if bare else None
    depth = 0
    position, end = start, len(text) if end is None else end
    while position < end:
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


def _hash(text: str) -> str | None:
    lines = _HASH.findall(text)
    return clean(lines[-1]) if lines else None


def _phrase(text: str) -> str | None:
    matches = list(_PHRASE.finditer(text))
    if not matches:
        return None
    rest = text[matches[-1].end() : matches[-1].end() + _PHRASE_SCAN_CHARS].strip().lstrip("*").strip()
    delimited = _DELIMITED.match(rest)
    if delimited and not _CURRENCY_AMOUNT.match(rest):
        return clean(delimited.group())
    line = rest.split("\n", 1)[0]
    return clean(_SENTENCE_END.split(line, maxsplit=1)[0])


def clean(answer: str) -> str:
    r"""Strip Markdown emphasis, one pair of maths delimiters and closing punctuation from an answer."""
    text = answer.strip().strip("*").strip().rstrip(",;").strip()
    if text.endswith(".") and not text.endswith("..."):
        text = text[:-1].rstrip()
    whole = _DELIMITED.fullmatch(text)
    if whole and "$" not in (inner := next(group for group in whole.groups() if group)):
        text = inner.strip()
    return text


EXTRACTORS: dict[str, Callable[[str], str | None]] = {"boxed": _boxed, "hash": _hash, "phrase": _phrase}
