"""Step 3 (arXiv 2509.24375): a tier from Categorical(p_t), then an unused position of that tier, uniformly.

Each source of chance has a stream of its own, seeded by name, so that what one part draws does not move another.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tasks.errors import Permanent
from tasks.shared.next_token.method import TIERS, CurriculumConfig, mixture
from tasks.spine.store.fingerprint import stable_seed

FALLBACKS: tuple[tuple[int, ...], ...] = ((0, 1, 2), (1, 0, 2), (2, 1, 0))
"""Tiers to take a position from, for each tier drawn: the first that has an unused one. The nearest, easier before
harder (ours)."""


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """The drawn positions, of shape (steps, positions per step)."""

    index: npt.NDArray[np.int64]
    """Index of each among the positions that were offered; none twice."""
    drawn: npt.NDArray[np.int8]
    """Tier that the curriculum drew; the position's own where it fell back to none, or without a curriculum."""


def draw(
    tiers: npt.NDArray[np.int8], steps: int, positions_per_step: int, curriculum: CurriculumConfig, seed: int
) -> Draws:
    """Draw a whole run without replacement from positions of the given tiers (indices in `TIERS`).

    A tier with no unused position left gives way to the next of `FALLBACKS`. Without a curriculum every position that
    was offered is as likely as any other.

    Raises:
        Permanent: fewer positions than places.
    """
    wanted = steps * positions_per_step
    if wanted > len(tiers):
        raise Permanent(_too_few(tiers, steps, positions_per_step))
    if not curriculum.enabled:
        index = _shuffled(np.arange(len(tiers)), seed, "all")[:wanted].reshape(steps, positions_per_step)
        return Draws(index, tiers[index])
    drawn = _draw_tiers(steps, positions_per_step, curriculum, seed)
    waiting = [_shuffled(np.flatnonzero(tiers == tier), seed, name) for tier, name in enumerate(TIERS)]
    used = [0] * len(TIERS)
    index = np.empty(wanted, dtype=np.int64)
    for place, tier in enumerate(drawn.ravel().tolist()):
        taken = next(other for other in FALLBACKS[tier] if used[other] < len(waiting[other]))
        index[place] = waiting[taken][used[taken]]
        used[taken] += 1
    return Draws(index.reshape(drawn.shape), drawn)


def _draw_tiers(steps: int, positions_per_step: int, curriculum: CurriculumConfig, seed: int) -> npt.NDArray[np.int8]:
    stream = np.random.default_rng(stable_seed("schedule", seed, "tiers"))
    drawn = np.empty((steps, positions_per_step), dtype=np.int8)
    for step in range(steps):
        easy, medium, _ = mixture(step, steps, curriculum)
        drawn[step] = np.searchsorted([easy, easy + medium], stream.random(positions_per_step), side="right")
    return drawn


def _shuffled(positions: npt.NDArray[np.int64], seed: int, name: str) -> npt.NDArray[np.int64]:
    """Indices sorted by random keys: numpy keeps the stream of `random` as it is, and promises less for
    `permutation`."""
    keys = np.random.default_rng(stable_seed("schedule", seed, "positions", name)).random(len(positions))
    return positions[np.argsort(keys, kind="stable")]


def _too_few(tiers: npt.NDArray[np.int8], steps: int, positions_per_step: int) -> str:
    counts = ", ".join(f"{np.count_nonzero(tiers == tier):,} {name}" for tier, name in enumerate(TIERS))
    wanted = steps * positions_per_step
    return (
        f"{steps} steps of {positions_per_step} need {wanted:,} positions, and the texts have {len(tiers):,} that can "
        f"be drawn ({counts}), each once; lower schedule.steps, schedule.epochs or schedule.positions_per_step, lower "
        "the thresholds schedule.tiers, raise schedule.max_prompt_tokens or take more texts"
    )
