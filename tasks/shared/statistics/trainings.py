"""The luck of training: a level of its own beside the choice of questions.

Two trainings that differ in their seed alone end at different scores, by more than any interval over questions shows
(Madhyastha and Jain 2019, arXiv 1909.10447; Bouthillier et al. 2021, arXiv 2103.03098). So an interval over several
trainings has two levels: questions (or documents) are resampled, and the mean over trainings moves as the mean of so
few does. Resampling three trainings would be too narrow, as three values bound their own mean and have two thirds of
its variance; so that level is drawn from Student's t with their spread (for a difference: Behrens 1929, Fisher 1935).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_STREAM = 7
"""Apart from the stream that draws questions."""


@dataclass(frozen=True)
class TrainingLuck:
    """How far means over so few trainings may lie from those over all trainings."""

    draws: NDArray[np.float64]
    """Deviations, shape (resamples,); all 0 where no training has a second one beside it."""
    variance: float
    """Squared standard error of the trainings: for a difference, of both sides together."""

    @property
    def is_known(self) -> bool:
        """Whether trainings differ at all."""
        return self.variance > 0


def training_luck(*sides: Sequence[float], resamples: int, seed: int) -> TrainingLuck:
    """The luck in a mean over trainings, or in the difference of two such means.

    Args:
        sides: of each side the mean score of each training; one score, or equal ones (a model that was not trained),
            bring nothing.
    """
    random = np.random.default_rng((seed, _STREAM))
    draws, variance = np.zeros(resamples), 0.0
    for scores in sides:
        if len(set(scores)) > 1:
            error = float(np.var(scores, ddof=1)) / len(scores)
            draws += np.sqrt(error) * random.standard_t(len(scores) - 1, size=resamples)
            variance += error
    return TrainingLuck(draws, variance)


def two_sided(draws: NDArray[np.float64]) -> float:
    """P-value of "the mean is 0" from its draws: twice the share beyond 0, never 0 (Phipson and Smyth 2010)."""
    beyond = min(int((draws <= 0).sum()), int((draws >= 0).sum()))
    return min(1.0, 2 * (1 + beyond) / (1 + draws.size))
