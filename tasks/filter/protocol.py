"""The protocol of scorers, which say how well completions follow their heuristics."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A completion, with its prompt under a heuristic and its plain prompt."""

    key: str
    prompt: str
    plain: str
    completion: str


@dataclass(frozen=True, slots=True)
class AdherenceScore:
    """Adherence of a completion, natural log per token."""

    key: str
    adherence: float
    tokens: int


class Scorer(Protocol):
    """Something that says how well completions follow their heuristics; higher is better."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[AdherenceScore]:
        """One score for each request, in order."""
        ...
