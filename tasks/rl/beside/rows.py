"""Rows that are learned beside rollouts, and which of them each step has."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tasks.midtrain.encoding import TrainingExample
from tasks.rl.schedule import plan_batches
from tasks.shared.training.config import IGNORED


@dataclass(frozen=True)
class TextRow:
    """Tokens of one forward pass, and the label of each: itself, or `IGNORED`."""

    tokens: np.ndarray
    labels: np.ndarray

    @property
    def counted(self) -> int:
        """Tokens that carry loss; nothing predicts the first."""
        return int((self.labels[1:] != IGNORED).sum())


class SolutionPlan:
    """The solutions of each step: permutation after permutation of all of them, for as many steps as RL has."""

    def __init__(self, examples: Sequence[TrainingExample], *, steps: int, batch_size: int, seed: int) -> None:
        self._examples = examples
        self._batches = plan_batches(len(examples), batch_size, 1, steps, seed)

    def rows(self, step: int) -> list[TextRow]:
        """The solutions of one step; loss falls on what stands behind the prompt."""
        return [_row(self._examples[index]) for index in self._batches[step]]

    def tokens(self, step: int) -> int:
        """Tokens of one step that carry loss."""
        return sum(len(self._examples[index].completion) for index in self._batches[step])


def _row(example: TrainingExample) -> TextRow:
    tokens = np.array(example.prompt + example.completion)
    labels = tokens.copy()
    labels[: len(example.prompt)] = IGNORED
    return TextRow(tokens, labels)
