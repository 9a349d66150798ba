"""Counts of positions by entropy, in bins that tiers can be cut from."""

import numpy as np
import numpy.typing as npt

BINS_PER_NAT = 20
"""Bins are 0.05 nats wide (ours), so that every threshold with at most one decimal place is an edge."""

Counts = npt.NDArray[np.int64]


def empty(vocabulary: int) -> Counts:
    """A histogram for distributions over so many tokens, whose entropy is at most its natural logarithm."""
    return np.zeros(int(np.log(vocabulary) * BINS_PER_NAT) + 2, dtype=np.int64)


def count(entropy: npt.NDArray[np.float32], into: Counts) -> None:
    """Add positions (nats, finite) to a histogram; bin i holds [i, i + 1) / `BINS_PER_NAT` nats."""
    bins = np.floor(entropy.astype(np.float64) * BINS_PER_NAT).astype(np.int64)
    into += np.bincount(np.clip(bins, 0, len(into) - 1), minlength=len(into))


def trimmed(counts: Counts) -> list[int]:
    """As plain numbers, without the empty bins at the end."""
    return counts[: np.flatnonzero(counts)[-1] + 1].tolist() if counts.any() else []
