"""The result of grading one answer, and what can become of a completion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

VerdictName = Literal["correct", "wrong", "unparsed", "timeout", "error"]
TRUNCATED = "truncated"
"""Fate of a completion that was cut at the token limit: it has given no final answer, so it is not graded."""
OUTCOMES: tuple[str, ...] = (*get_args(VerdictName), TRUNCATED)
"""Fates of a completion: a grader's verdict, or none because it was cut."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Decision about one (completion, gold) pair, with its reason.

    correct: the answer equals the gold answer. wrong: it does not, or it is a form that no grader should
    reward. unparsed: no final answer was found, or it does not read as mathematics. timeout: not decided
    within the bounds of CPU time and memory (or refused unseen, because its cost is known to be out of reach).
    error: the fault is not the answer's: the gold answer does not parse. A grader's death is no verdict.
    """

    verdict: VerdictName
    extracted: str | None
    detail: str
    """The rule that decided, a colon, and how; without a rule where the answer was not decided on."""
    seconds: float = 0.0
    """CPU time that it took, seconds; the time limit where that ran out."""

    @property
    def rule(self) -> str:
        """Name of the rule that decided, as in this room's README; empty where none did."""
        name, colon, _ = self.detail.partition(": ")
        return name if colon and name.islower() else ""


def verdicts_in_words(counts: Mapping[str, int]) -> str:
    """How many answers got each verdict, and how many were cut off before theirs; those that none got are left out."""
    return ", ".join(f"{name} {counts[name]:,}" for name in OUTCOMES if counts.get(name))
