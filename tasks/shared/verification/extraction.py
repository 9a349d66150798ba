r"""Find the final answer in a completion: pure text work, linear in its length.

Forms in which an answer is looked for; the last statement of any form is the answer:

* ``boxed``: ``\boxed{...}`` (or ``\fbox``, ``\framebox``), braces balanced. Several different boxes are one answer of
  several members, unless words such as "the answer is" stand directly before the last.
* ``tag``: ``<answer>...</answer>``.
* ``hash``: the rest of a line after ``####``, as in GSM8K. Markdown headings ("#### Step 2: add") hold no answer.
* ``phrase``: what follows "answer is", "answer:", "A:" at the start of a line, or a heading "Final Answer" with the
  answer on its next line, up to the end of the sentence or the clause behind the value; also a value at the start of
  a sentence, or behind "=" or "so", of which it ends with "is the answer": "46 + 92 = 138, which is the answer."

A reasoning model's text counts only behind its last thought; one whose last thought is never closed has given no
answer (`tasks.shared.thoughts`). What follows a new question (``Q:``, ``Problem:``,
``User:``, the mark at a turn's end) answers that one.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from tasks.shared.thoughts import answer_part
from tasks.shared.verification.answers.boxes import boxes_of, has_box
from tasks.shared.verification.answers.statements import (
    clean,
    is_heading,
    is_statement,
    sentence_end,
    value_end,
    value_of,
    without_adverbs,
)

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
_REVERSED = re.compile(
    r"(?:^|[.!](?=\s)|(?<![<>!])=|\b(?:so|then|thus|hence|therefore|means|case)\b,?)[ \t]*"
    r"(?P<value>\\\((?:(?!\\\)).){1,80}\\\)|\$[^$\n]{1,80}\$|[$€£]?[-+]?\d+(?:,\d{3})*(?:\.\d+)?(?:[ \t]?/[ \t]?\d+)?%?"
    r"(?:[ \t]+(?!(?:and|or|if|is|are|not|which|than|to|more|less|fewer|times)\b)[A-Za-z][\w-]*){0,3})"
    r"(?:,[ \t]+which)?[ \t]+(?:is|are)[ \t]+(?:the|our|my)[ \t]+(?:(?:final|correct|required)[ \t]+)?answer"
    r"(?=(?:[ \t]+to[ \t]+the[ \t]+(?:question|problem))?[*_]{0,2}(?:[.!](?:\s|$)|\s*$))",
    re.IGNORECASE | re.MULTILINE,
)
"""A value with "is the answer" behind it, at the start of a sentence, behind "=" or a word that draws a conclusion."""
_UNSURE = re.compile(
    r"(?:\A|[.!?\n])[^.!?\n]*\b(?:if|or|and|not|either|unless|maybe|perhaps|about|least|most|than|that)\b[^.!?\n]*\Z",
    re.I,
)
"""A sentence that states such a value on a condition, beside another one, or of something else."""
_UNSURE_CHARS = 400
_TELLING = re.compile(r"[se][ \t]+(?:the|our|my)[ \t]+(?:(?:final|correct|required)[ \t]+)?answer", re.IGNORECASE)
"""Every such sentence holds this, which is found faster."""
_PHRASE_WORDS = ("answer", "correct option", "correct choice")
_A_AND_COLON = re.compile(r"a[*_`]{0,3}:")
"""Each phrase holds one of these, in small letters: a text before the first is not tried letter by letter."""
_LONGEST_BEGIN = 80
_CHECKED = re.compile(
    r"\b(?:re-?|double-?)?(?:check|verif|confirm|test|validat)[a-z]*\s+(?:(?:the|our|your|my|this|final)\s+){0,3}\Z",
    re.I,
)
"""What stands before "answer:" where a check of it follows, and no answer."""
_CHOICES = re.compile(r"^[ \t]*B[.:)]", re.MULTILINE)
_NEW_QUESTION = re.compile(
    r"\n[ \t]*(?:\#+[ \t]*)?[*_]{0,2}(?:(?:Q|Question|Human|User)[ \t]*\d*|Problem)[*_]{0,2}:"
    r"|<\|(?:im_end|eot_id|end|endoftext|end_of_text|return)\|>|<end_of_turn>|<eos>|</s>",
    re.IGNORECASE,
)
"""A question, a turn of the user or the end of one's own turn, where chat marks stand in the text. A problem with a
number may be a part of one's own."""
_PHRASE_SCAN_CHARS = 4_000
_MOST_MARKS = 20
"""Marks of one form that are looked at: what an answer was twenty statements ago does not matter (ours)."""


class _Statement(NamedTuple):
    """An answer, or several boxes, and where it stands."""

    place: int
    """Rank among statements: the one with the highest place counts."""
    answers: tuple[str, ...]
    start: int
    end: int
    """Where the last value of the statement ends, or its sentence."""


class FoundAnswer(NamedTuple):
    """The final answer of a completion, and where the completion states it."""

    answers: tuple[str, ...]
    """One text, or several where different boxes stand side by side."""
    start: int
    """Where the statement begins, of several boxes the first."""
    end: int
    """End of the sentence, the line or the mark-up that states it."""
    until: int
    """Where the text ends that is about this question: at a new one behind the answer, or at the end."""


def extract_answer(completion: str, forms: Sequence[str] = ("boxed", "tag", "hash", "phrase")) -> str | None:
    r"""Return the final answer of `completion` without its mark-up, or None where no form occurs.

    `forms` are names of `FINDERS`. Several different boxes are joined as one list.
    """
    return ", ".join(extract_answers(completion, forms)) or None


def extract_answers(completion: str, forms: Sequence[str] = ("boxed", "tag", "hash", "phrase")) -> tuple[str, ...]:
    """Return the last statement of an answer: one text, several where different boxes stand side by side, or none."""
    found = _stated(completion, forms)
    return found[0].answers if found else ()


def find_answer(completion: str, forms: Sequence[str] = ("boxed", "tag", "hash", "phrase")) -> FoundAnswer | None:
    """The last statement of an answer, with its place in `completion`; None where there is none."""
    found = _stated(completion, forms)
    if found is None:
        return None
    last, part, offset = found
    end = offset + sentence_end(part, last.end)
    return FoundAnswer(last.answers, offset + last.start, end, offset + len(part))


def _stated(completion: str, forms: Sequence[str]) -> tuple[_Statement, str, int] | None:
    """The last statement of an answer, the part of the completion that it stands in, and where that begins."""
    text = answer_part(completion)
    if text is None:
        return None
    offset = len(completion) - len(text)
    for start, end in _up_to_new_questions(text):
        part = text[start:end]
        statements = [statement for form in forms for statement in FINDERS[form](part)]
        if statements:
            return max(statements, key=lambda statement: statement.place), part, offset + start
    return None


def _up_to_new_questions(text: str) -> Iterator[tuple[int, int]]:
    """Start and end of the text up to its first new question, then of the rest question by question."""
    last = 0
    for match in _NEW_QUESTION.finditer(text) if "\n" in text or "<" in text else ():
        if text[last : match.start()].strip():
            yield last, match.start()
            last = match.start()
    yield last, len(text)


def _boxed(text: str) -> Iterator[_Statement]:
    boxes = boxes_of(text)
    if not boxes:
        return
    announced = [index for index, box in enumerate(boxes) if _is_announced(text, box.start)]
    counted = boxes[announced[-1] :] if announced else boxes
    last = boxes[-1]
    yield _Statement(last.start, tuple(dict.fromkeys(box.content for box in counted)), counted[0].start, last.end)


def _is_announced(text: str, start: int) -> bool:
    """Whether "the answer is" or the like stands directly before a place, at most a name between them."""
    before = text[max(0, start - 200) : start]
    mark = next(iter(_phrases(before)), None)
    if mark is None:
        return False
    between = without_adverbs(before[mark.end() :].lstrip("*_: \n"))
    return bool(re.fullmatch(r"[\s*_$:\\\[(]*(?:[\w\\{}()']{1,20}\s*=\s*)?", between))


def _tag(text: str) -> Iterator[_Statement]:
    for match in _last(_TAG, text) if "<" in text else ():
        inner = [statement for form in ("boxed", "hash", "phrase") for statement in FINDERS[form](match.group(1))]
        last = max(inner, key=lambda statement: statement.place).answers if inner else (clean(match.group(1)),)
        if last[0]:
            yield _Statement(match.end(), last, match.start(), match.end())
            return


def _hash(text: str) -> Iterator[_Statement]:
    for match in _last(_HASH, text) if "####" in text else ():
        answer = clean(match.group(1))
        marked = _phrases(answer)
        alone = not text[match.end() :].strip()
        if answer and not marked and is_statement(answer, alone=alone) and not is_heading(answer):
            yield _Statement(match.start(), (answer,), match.start(), match.end())
            return


def _phrase(text: str) -> Iterator[_Statement]:
    for match in _phrases(text):
        if match.group().strip(" \t*_`") in ("A:", "a:") and _CHOICES.search(text):
            continue
        before = text[max(0, match.start() - _LONGEST_BEGIN) : match.start()]
        if match.group().rstrip(" \t*_`")[-1:] in (":", "=") and _CHECKED.search(before):
            continue
        scanned = text[match.end() : match.end() + _PHRASE_SCAN_CHARS].rstrip()
        rest = scanned.lstrip().lstrip("*_:").lstrip()
        answer = value_of(rest)
        if not answer or has_box(answer):
            continue
        stated = is_statement(answer, alone=True)
        # "The answer is correct" is the answer only where nothing else is.
        value = match.end() + len(scanned) - len(rest)
        yield _Statement(match.start() if stated else -1, (answer,), match.start(), value + value_end(rest))
        if stated:
            break
    for match in _last(_REVERSED, text) if _TELLING.search(text) else ():
        before = text[max(0, match.start("value") - _UNSURE_CHARS) : match.start("value")]
        if is_statement(answer := clean(match["value"]), alone=True) and not _UNSURE.search(before):
            yield _Statement(match.start("value"), (answer,), match.start("value"), match.end())
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
