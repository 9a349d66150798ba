r"""Where a solution ends: with the sentence that states its answer, and at most a few closing words.

Models that are not stopped go on: with a problem of their own and its solution, with the worked examples of their
prompt, with a second answer. The rule, for a whole completion in which the verifier finds an answer:

1. *A new problem* begins, behind an answer, at a line or a sentence that opens with "Problem:", "Question:", "Q:",
   "Solution:", "Exercise:", "Example 2:" and the like, with a line of the prompt's example template, with a turn of the
   user or a mark at a turn's end. The solution's answer is the last one before it, of statements that repeat each
   other the first, and what follows the new problem's beginning is not the solution's.
2. *Closing words* are the rest of the answer's sentence and at most `CLOSING_SENTENCES` sentences behind it, of
   `CLOSING_CHARS` characters, which name the answer if they name a number: "So Tom has 5 apples." They stay.
3. *The sample runs on*, and is dropped, where it cannot be said which text is the solution: the answer before the new
   problem is not the one that was judged; a final answer of another value stands before it ("The answer is 3. ... The
   answer is 1."); it is taken back ("Wait, ..."); or it opens the text, and more than closing words explain it.
4. *It is cut back* behind the answer's sentence (line, box, ``####`` line) and its closing words where something
   follows. If the answer that the verifier finds in what is left is not, letter by letter, the one that was judged, the
   sample runs on.
5. *It is whole* otherwise.

A completion that was cut at the token limit has a solution only where step 4 finds one, and where what was cut off
cannot be part of it: a new problem begins behind the answer, or the answer was stated again. All else is unfinished:
"The answer is 5. Then" may go on with any answer.

Cutting cannot change a verdict: that is a function of the extracted answer, the gold answer and the settings, and step
4 keeps the first of them.
"""

import re
from collections.abc import Sequence
from typing import Literal, NamedTuple

from tasks.shared.verification.extraction import FoundAnswer, find_answer
from tasks.shared.verification.forms import canonical

EndingKind = Literal["", "whole", "cut_back", "runs_on"]
CLOSING_SENTENCES = 2
"""Ours."""
CLOSING_CHARS = 200
"""Ours."""
MOST_STATEMENTS = 20
"""Earlier statements of an answer that are looked at. Ours."""
REPEATED_WITHIN_CHARS = 30
"""From the end of an answer's sentence to the next answer, where that repeats it. Ours."""
_WORDS = r"(?:Problem|Question|Q|Exercise|Example|Task|Solution)(?:[ \t]*\#?\d+)?"
_NEW_PROBLEM = (
    rf"^[ \t]*(?:\#+[ \t]*)?[*_]{{0,2}}{_WORDS}[*_]{{0,2}}[ \t]*:"
    rf"|^[ \t]*(?:\#+[ \t]*[*_]{{0,2}}|[*_]{{2}}){_WORDS}[*_]{{0,2}}[ \t]*$|(?<=[ \t])(?-i:{_WORDS}):"
)
_TAKEN_BACK = re.compile(
    r"\b(?:wait|actually|oops|sorry|correction|mistake|wrong|incorrect|not (?:correct|right))\b", re.IGNORECASE
)
_FINAL = re.compile(
    r"####|<answer>|(?:^\W*|\b(?:the|final|correct) )(?:answer|correct (?:option|choice))\b(?! to\b)", re.IGNORECASE
)
_BETWEEN_SENTENCES = re.compile(r"(?<=[.!?])\s+|\s*\n\s*")
_NUMERAL = re.compile(r"\d[\d,]*(?:\.\d+)?")
_WORD = re.compile(r"\w")
_NUMBERED_PART = re.compile(r"\b(?:q|question|problem|part)\W*\d", re.IGNORECASE)
_LEAD = re.compile(r"^(.*?)\{(?:question|solution)\}", re.MULTILINE)


class Ending(NamedTuple):
    """How a text ends behind its answer, and how many of its characters are the solution."""

    kind: EndingKind
    """Empty where no answer is found, or the text was cut before its solution was finished."""
    chars: int


def new_problem(example_template: str = "") -> re.Pattern[str]:
    """The beginnings of a new problem, with the words before question and solution in the prompt's example template."""
    words = sorted({lead.strip() for lead in _LEAD.findall(example_template)} - {""})
    own = "".join(rf"|^[ \t]*{re.escape(word)}" for word in words)
    return re.compile(_NEW_PROBLEM + own, re.IGNORECASE | re.MULTILINE)


def ending(text: str, forms: Sequence[str], marks: re.Pattern[str], *, whole: bool = True) -> Ending:
    """Decide where the solution in a text ends.

    Args:
        text: as it is graded.
        forms: in which an answer is looked for.
        marks: of a new problem.
        whole: False where the text was cut at the token limit.
    """
    judged = find_answer(text, forms)
    if judged is None:
        return Ending("", len(text))
    stated = _statements(text, judged, forms)
    mark = marks.search(text, stated[0].start, judged.until)
    if not whole and _in_parts(text, stated[0].start, marks):
        return Ending("", len(text))
    until = max(mark.start() if mark else judged.until, stated[0].end)
    answer = _first_of_repeats([found for found in stated if found.start < until])
    end = min(answer.end, until)
    if not whole and until == len(text) and answer == judged:
        return Ending("", len(text))
    behind = text[end:until]
    closes = _is_closing(behind, answer)
    if (
        any(_is_final(text, other) and not _same(other, answer) for other in stated if other.start < answer.start)
        or _TAKEN_BACK.search(behind[:CLOSING_CHARS])
        or (not closes and _opens(text, answer))
    ):
        return Ending("runs_on", len(text))
    if closes and until == len(text):
        return Ending("whole" if whole else "", len(text))
    kept = text[: until if closes and _WORD.search(behind) else end].rstrip()
    left = find_answer(kept, forms)
    same = left is not None and left.answers == judged.answers
    return Ending("cut_back", len(kept)) if same else Ending("runs_on", len(text))


def _in_parts(text: str, answer: int, marks: re.Pattern[str]) -> bool:
    """Whether what seems to begin a new problem behind an answer may be the next part of one solution, whose last
    answer was cut off: "Question 2:", or a mark of which there was one before the answer.
    """
    mark = marks.search(text, answer)
    return mark is not None and bool(_NUMBERED_PART.search(mark.group()) or marks.search(text, 0, answer))


def _statements(text: str, judged: FoundAnswer, forms: Sequence[str]) -> list[FoundAnswer]:
    """The judged answer after those that are stated before it, from the first; where it has a number, those that have.

    One that goes on, behind a sign of equality, as the next is the beginning of that: "The answer is 2 + 3 = [box]".
    """
    found, place = [judged], judged.start
    for _ in range(MOST_STATEMENTS):
        earlier = find_answer(text[:place], forms)
        if earlier is None:
            break
        goes_on = "\n" not in text[earlier.start : place] and text[:place].rstrip(" $").endswith("=")
        place = earlier.start
        if not goes_on and (_numerals(earlier) or not _numerals(judged)):
            found.append(earlier)
    return found[::-1]


def _numerals(answer: FoundAnswer) -> list[str]:
    return [numeral for value in answer.answers for numeral in _NUMERAL.findall(value)]


def _first_of_repeats(stated: Sequence[FoundAnswer]) -> FoundAnswer:
    """The last answer, or the first of those that say the same, one directly behind the other."""
    answer = stated[-1]
    for earlier in reversed(stated[:-1]):
        if earlier.answers != answer.answers or answer.start - earlier.end > REPEATED_WITHIN_CHARS:
            break
        answer = earlier
    return answer


def _same(one: FoundAnswer, other: FoundAnswer) -> bool:
    return one.answers == other.answers or canonical(", ".join(one.answers)) == canonical(", ".join(other.answers))


def _is_final(text: str, answer: FoundAnswer) -> bool:
    """Whether a statement says that it is the answer to the question, not to a step."""
    sentence = _BETWEEN_SENTENCES.split(text[max(0, answer.start - CLOSING_CHARS) : answer.start])[-1]
    return bool(_FINAL.search(sentence + text[answer.start : answer.end]))


def _is_closing(behind: str, answer: FoundAnswer) -> bool:
    if not _WORD.search(behind):
        return True
    said = behind.strip()
    numerals = [canonical(numeral.rstrip(",")) for numeral in _NUMERAL.findall(said)]
    named = {canonical(numeral.rstrip(",")) for numeral in _numerals(answer)}
    return (
        len(said) <= CLOSING_CHARS
        and len(_BETWEEN_SENTENCES.split(said)) <= CLOSING_SENTENCES
        and (not numerals or not named.isdisjoint(numerals))
    )


def _opens(text: str, answer: FoundAnswer) -> bool:
    """Whether an answer stands before all reasoning."""
    before = text[: answer.start].strip()
    return "=" not in before and len(_BETWEEN_SENTENCES.split(before)) == 1
