"""The result of grading one answer."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

VerdictName = Literal["correct", "wrong", "unparsed", "timeout", "error"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was decided about one (completion, gold) pair, and why.

    correct: the answer equals the gold answer. wrong: it does not, or it is a form that no grader should
    reward. unparsed: no final answer was found, or it does not read as mathematics. timeout: not decided
    within the limit (or refused unseen, because its cost is known to be out of reach). error: the fault is
    not the answer's: the gold answer does not parse, the grader process died or ran out of memory.
    """

    verdict: VerdictName
    extracted: str | None
    detail: str


def verdicts_in_words(counts: Mapping[str, int]) -> str:
    """How many answers got each verdict, and how many were cut off before theirs; those that none got are left out."""
    names = (*get_args(VerdictName), "truncated")
    return ", ".join(f"{name} {counts[name]:,}" for name in names if counts.get(name))
