"""Step 3 (arXiv 2509.24375): from easy tokens to hard ones, by step alone."""

from tasks.rmt.budget import elapsed
from tasks.rmt.method import CurriculumConfig, Mixture


def mixture(step: int, steps: int, config: CurriculumConfig) -> Mixture:
    """p_t: probabilities of easy, medium and hard at step t = `step` (from 0) of T = `steps`; they sum to one.

    p_a (`config.start`) up to the first turning point, p_b (`config.end`) from the second, linear in t between them.
    `config.enabled` is the caller's to obey: without a curriculum nothing is drawn by tier.
    """
    first, second = config.turning_points
    weight = min(1.0, max(0.0, (elapsed(step, steps) - first) / (second - first)))
    easy, medium, hard = ((1 - weight) * a + weight * b for a, b in zip(config.start, config.end, strict=True))
    return easy, medium, hard
