"""What a rule gets and gives."""

from collections.abc import Callable
from dataclasses import dataclass

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.verdict import VerdictName

Decision = tuple[VerdictName, str]
"""A verdict and, in words, how it came about."""


@dataclass(frozen=True, slots=True)
class Context:
    """Settings of a comparison, and the way back to the first rule for a part of an answer."""

    config: VerificationConfig
    compare: Callable[[str, str], Decision]
    """Verdict on a part of the answer against a part of the gold answer."""

    def same(self, answer: str, gold: str) -> bool:
        """Whether a part of the answer equals a part of the gold answer."""
        return self.compare(answer, gold)[0] == "correct"


Rule = Callable[[str, str, Context], Decision | None]
"""Decides on an answer and a gold answer, in this order, or leaves them to the next rule."""


def decide(equal: bool, right: str, wrong: str) -> Decision:
    """A verdict with the words for either case."""
    return ("correct", right) if equal else ("wrong", wrong)
