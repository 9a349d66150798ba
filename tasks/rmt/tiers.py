"""Step 1 (arXiv 2509.24375): how hard a token is, by the entropy of the distribution that predicts it."""

import numpy as np
from numpy.typing import NDArray

from tasks.rmt.method import TIERS, Tier, TierConfig

BELOW = -1
"""In place of a tier's index: too easy to reason about, or nothing stands before it (NaN)."""


def tier_of(entropy: float, config: TierConfig) -> Tier | None:
    """Tier of a position whose next-token entropy is `entropy` nats; None below the lowest threshold, and for NaN."""
    index = int(tier_indices(np.array([entropy]), config)[0])
    return None if index == BELOW else TIERS[index]


def tier_indices(entropies: NDArray[np.floating], config: TierConfig) -> NDArray[np.int8]:
    """`tier_of` for an array of any shape: the index in `TIERS`, or `BELOW`. A threshold belongs to the tier above."""
    lower_ends = np.array([config.easy, config.medium, config.hard])
    indices = np.searchsorted(lower_ends, entropies, side="right") - 1
    return np.where(np.isnan(entropies), BELOW, indices).astype(np.int8)
