"""The protocol of scorers, which say how well completions follow their heuristics."""

from collections.abc import Iterator, Sequence, Sized
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ScoreRequest:
    """A completion, with its prompt under a heuristic and its plain prompt."""

    key: str
    question: str
    heuristic: str
    prompt: str
    plain: str
    completion: str


@dataclass(frozen=True, slots=True)
class AdherenceScore:
    """Adherence of a completion, in the unit of its scorer, and the tokens that were read for it."""

    key: str
    adherence: float
    tokens: int


class Scorer(Protocol):
    """Something that says how well completions follow their heuristics; higher is better."""

    def score(self, requests: Sequence[ScoreRequest]) -> list[AdherenceScore]:
        """One score for each request that it can score, in order."""
        ...


def batches_by_length(rows: Sequence[int], texts: Sequence[Sized], tokens_per_batch: int) -> Iterator[list[int]]:
    """Rows of like length, longest first, so that rows times the longest stays within `tokens_per_batch`."""
    ordered = sorted(rows, key=lambda row: -len(texts[row]))
    start = 0
    while start < len(ordered):
        size = max(1, tokens_per_batch // max(1, len(texts[ordered[start]])))
        yield ordered[start : start + size]
        start += size
