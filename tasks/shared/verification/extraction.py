r"""Find the final answer in a completion: pure text work, linear in its length.

Forms in which an answer is looked for; the last statement of any form is the answer:

* ``boxed``: ``\boxed{...}`` (or ``\fbox``, ``\framebox``), braces balanced. Several different boxes are one answer of
  several members, unless words such as "the answer is" stand directly before the last.
* ``tag``: ``<answer>...</answer>``.
* ``hash``: the rest of a line after ``####``, as in GSM8K. Markdown headings ("#### Step 2: add") hold no answer.
* ``phrase``: what follows "answer is", "answer:", "A:" at the start of a line, or a heading "Final Answer" with the
  answer on its next line, up to the end of the sentence or the clause behind the value.

A reasoning model's text counts only behind its last thought; one whose last thought is never closed has given no
answer (`tasks.shared.thoughts`). What follows a new question (``Q:``, ``User:``, the mark
at a turn's end) answers that one.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tasks.shared.thoughts import answer_part
from tasks.shared.verification.answers.statements import clean, is_heading, is_statement, value_of, without_adverbs

_BOX = re.compile(r"\\(?:boxed|fbox|framebox)\s*")
_BRACE = re.compile(r"\{|\}|\\(?:(?P<box>(?:boxed|fbox|framebox)\s*)\{?|.)", re.DOTALL)
_TAG = re.compile(r"<answer>(.*?)(?:</answer>|\Z)", re.DOTALL | re.IGNORECASE)
_HASH = re.compile(r"####(?!#)[ \t]*([^\n]*)")
_EMPHASIS = r"[*_`]{0,3}"
_VERB = r"(?:is|are|would be|should be|must be|will be|equals|comes out to(?: be)?)\b"
_PHRASE = re.compile(
    rf"(?<![A-Za-z0-9])(?:answers?|correct (?:option|choice)){_EMPHASIS}"
    rf"(?:\s+to\s+[^.\n]{{1,80}}?|,[^.,\n]{{1,20}},)?\s*(?:{_VERB}|[:=]){_EMPHASIS}[ \t]*[:=]?{_EMPHASIS}"
    rf"|^[ \t]*{_EMPHASIS}A{_EMPHASIS}:{_EMPHASIS}"
    rf"|^[ \t]*(?:\#{{1,6}}[ \t]*)?{_EMPHASIS}(?:the )?(?:final )?answer{_EMPHASIS}[ \t]*\n",
    re.IGNORECASE | re.MULTILINE,
)
_PHRASE_WORDS = ("answer", "correct option", "correct choice")
_A_AND_COLON = re.compile(r"a[*_`]{0,3}:")
"""Each phrase holds one of these, in small letters: a text before the first is not tried letter by letter."""
_LONGEST_BEGIN = 80
_CHOICES = re.compile(r"^[ \t]*B[.:)]", re.MULTILINE)
_NEW_QUESTION = re.compile(
    r"\n[ \t]*(?:\#+[ \t]*)?[*_]{0,2}(?:Q|Question|Human|User)[ \t]*\d*[*_]{0,2}:"
    r"|<\|(?:im_end|eot_id|end|endoftext|end_of_text|return)\|>|<end_of_turn>|<eos>|</s>",
    re.IGNORECASE,
)
"""A question, a turn of the user or the end of one's own turn, where chat marks stand in the text."""
_PHRASE_SCAN_CHARS = 4_000
_MOST_MARKS = 20
"""Marks of one form that are looked at: what an answer was twenty statements ago does not matter (ours)."""


class _Statement(NamedTuple):
    """An answer, or several boxes, and where it stands."""

    start: int
    answers: tuple[str, ...]


def extract_answer(completion: str, forms: Sequence[str] = ("boxed", "tag", "hash", "phrase")) -> str | None:
    r"""Return the final answer of `completion` without its mark-up, or None where no form occurs.

    `forms` are names of `FINDERS`. Several different boxes are joined as one list.
    """
    return ", ".join(extract_answers(completion, forms)) or None


def extract_answers(completion: str, forms: Sequence[str] = ("boxed", "tag", "hash", "phrase")) -> tuple[str, ...]:
    """Return the last statement of an answer: one text, several where different boxes stand side by side, or none."""
    text = answer_part(completion)
    if text is None:
        return ()
    for part in _up_to_new_questions(text):
        statements = [statement for form in forms for statement in FINDERS[form](part)]
        if statements:
            return max(statements, key=lambda statement: statement.start).answers
    return ()


def _up_to_new_questions(text: str) -> Iterator[str]:
    """The text up to its first new question, then the rest question by question."""
    last = 0
    for match in _NEW_QUESTION.finditer(text):
        if text[last : match.start()].strip():
            yield text[last : match.start()]
            last = match.start()
    yield text[last:]


def _boxed(text: str) -> Iterator[_Statement]:
    boxes = _boxes(text)
    if not boxes:
        return
    announced = [index for index, (start, _) in enumerate(boxes) if _is_announced(text, start)]
    counted = boxes[announced[-1] :] if announced else boxes
    yield _Statement(boxes[-1][0], tuple(dict.fromkeys(content for _, content in counted)))


def _boxes(text: str) -> list[tuple[int, str]]:
    """Places and contents of complete boxes that hold no other box, in one pass over the text."""
    found: list[tuple[int, str]] = []
    braces: list[tuple[int, int] | None] = []
    inner_start = -1
    for match in _BRACE.finditer(text) if _BOX.search(text) else ():
        mark = match.group()
        if mark == "{" or (match.group("box") and mark.endswith("{")):
            braces.append((match.start(), match.end()) if match.group("box") else None)
        elif match.group("box"):
            content = argument(text, match.end())
            if content:
                found.append((match.start(), clean(content)))
        elif mark == "}" and braces:
            box = braces.pop()
            content = clean(text[box[1] : match.start()]) if box else ""
            if box and content and inner_start < box[0]:
                found.append((box[0], content))
                inner_start = box[0]
    return found


def _is_announced(text: str, start: int) -> bool:
    """Whether "the answer is" or the like stands directly before a place, at most a name between them."""
    before = text[max(0, start - 200) : start]
    mark = next(iter(_phrases(before)), None)
    if mark is None:
        return False
    between = without_adverbs(before[mark.end() :].lstrip("*_: \n"))
    return bool(re.fullmatch(r"[\s*_$:\\\[(]*(?:[\w\\{}()']{1,20}\s*=\s*)?", between))


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


def _tag(text: str) -> Iterator[_Statement]:
    for match in _last(_TAG, text) if "<" in text else ():
        inner = [statement for form in ("boxed", "hash", "phrase") for statement in FINDERS[form](match.group(1))]
        last = max(inner, key=lambda statement: statement.start).answers if inner else (clean(match.group(1)),)
        if last[0]:
            yield _Statement(match.end(), last)
            return


def _hash(text: str) -> Iterator[_Statement]:
    for match in _last(_HASH, text):
        answer = clean(match.group(1))
        marked = _phrases(answer)
        alone = not text[match.end() :].strip()
        if answer and not marked and is_statement(answer, alone=alone) and not is_heading(answer):
            yield _Statement(match.start(), (answer,))
            return


def _phrase(text: str) -> Iterator[_Statement]:
    for match in _phrases(text):
        if match.group().strip(" \t*_`") in ("A:", "a:") and _CHOICES.search(text):
            continue
        rest = text[match.end() : match.end() + _PHRASE_SCAN_CHARS].strip().lstrip("*_:").strip()
        answer = value_of(rest)
        if not answer or _BOX.search(answer):
            continue
        stated = is_statement(answer, alone=True)
        # "The answer is correct" is the answer only where nothing else is.
        yield _Statement(match.start() if stated else -1, (answer,))
        if stated:
            return


def _phrases(text: str) -> list[re.Match[str]]:
    """The last matches of a phrase, from the end."""
    small = text.lower()
    if len(small) != len(text):
        return _last(_PHRASE, text)
    places = [place for word in _PHRASE_WORDS if (place := small.find(word)) >= 0]
    if ":" in small and (mark := _A_AND_COLON.search(small)):
        places.append(mark.start())
    if not places:
        return []
    line = small.rfind("\n", 0, min(places)) + 1
    return _last(_PHRASE, text, line if min(places) - line < _LONGEST_BEGIN else min(places))


def _last(pattern: re.Pattern[str], text: str, begin: int = 0) -> list[re.Match[str]]:
    """The last matches, from the end: a text may repeat a mark ten thousand times."""
    return list(pattern.finditer(text, begin))[: -_MOST_MARKS - 1 : -1]


FINDERS: dict[str, Callable[[str], Iterator[_Statement]]] = {
    "boxed": _boxed,
    "tag": _tag,
    "hash": _hash,
    "phrase": _phrase,
}
