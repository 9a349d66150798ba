"""The method of reinforcement mid-training, step by step (arXiv 2509.24375), apart from any trainer.

1. tiers of token entropy, 2. the dynamic token budget, 3. the curriculum, 4. the reward: each with its settings, which
are part of the identity of every stage that has them as a field, and its formula. What the paper leaves open is marked
"ours". Step 5, the joint loss, is tensor work and stands in `tasks.rmt.dual_loss`.
"""

from collections.abc import Collection
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, field_validator, model_validator

from tasks.config import Frozen

# 1. How hard a token is: tiers of the entropy of the distribution that predicts it.

Tier = Literal["easy", "medium", "hard"]
TIERS: tuple[Tier, ...] = ("easy", "medium", "hard")
BELOW = -1
"""Value in place of a tier's index: too easy to reason about, or nothing stands before it (NaN)."""


class TierConfig(Frozen):
    """Thresholds of next-token entropy, in nats, from which a position belongs to a tier.

    Below the lowest a position is never predicted by reasoning: next-token prediction alone trains it.
    The paper has three tiers and publishes no thresholds; these are ours.
    """

    easy: float = Field(0.5, ge=0)
    """Lower end of the easy tier (ours)."""
    medium: float = Field(1.0, gt=0)
    """Lower end of the medium tier, and upper end of the easy one (ours)."""
    hard: float = Field(1.5, gt=0)
    """Lower end of the hard tier, which has no upper end (ours)."""

    @model_validator(mode="after")
    def _ascend(self) -> "TierConfig":
        if not self.easy < self.medium < self.hard:
            raise ValueError(f"tiers: easy={self.easy} < medium={self.medium} < hard={self.hard} does not hold")
        return self


def tier_of(entropy: float, config: TierConfig) -> Tier | None:
    """Tier of a position whose next-token entropy is `entropy` nats; None below the lowest threshold, and for NaN."""
    index = int(tier_indices(np.array([entropy]), config)[0])
    return None if index == BELOW else TIERS[index]


def tier_indices(entropies: NDArray[np.floating], config: TierConfig) -> NDArray[np.int8]:
    """`tier_of` for an array of any shape: the index in `TIERS`, or `BELOW`. A threshold belongs to the tier above."""
    lower_ends = np.array([config.easy, config.medium, config.hard])
    indices = np.searchsorted(lower_ends, entropies, side="right") - 1
    return np.where(np.isnan(entropies), BELOW, indices).astype(np.int8)


# 2. The dynamic token budget, and what keeping to it pays.


class BudgetConfig(Frozen):
    """The dynamic token budget B_t = max(B_min, B_0 * gamma^(t/T)) of step t out of T, in whole tokens."""

    enabled: bool = True
    """Ask for B_t tokens of reasoning and reward their number; without it prompts name no budget (the ablation)."""
    start: int = Field(800, ge=1)
    """Budget at the start, B_0, in tokens (paper)."""
    floor: int = Field(1, ge=1)
    """Least budget, B_min, in tokens (paper)."""
    gamma: float = Field(0.2, gt=0, le=1)
    """Share of `start` that is left at the end (paper)."""

    @model_validator(mode="after")
    def _falls(self) -> "BudgetConfig":
        if self.floor > self.start:
            raise ValueError(f"budget.floor={self.floor} is above budget.start={self.start}")
        return self


def elapsed(step: int, steps: int) -> float:
    """t/T, the share of the run that lies behind step t = `step` (from 0) of T = `steps`.

    Raises:
        ValueError: `step` outside 0..`steps`, or no steps.
    """
    if steps < 1 or not 0 <= step <= steps:
        raise ValueError(f"step={step} of steps={steps}: 0 <= step <= steps and steps >= 1 do not hold")
    return step / steps


def budget(step: int, steps: int, config: BudgetConfig) -> int:
    """B_t = max(B_min, B_0 * gamma^(t/T)), tokens of reasoning to ask for at step t = `step` of T = `steps`.

    Rounded to the nearest token: the curve 800 -> 494 -> 259 -> 160 at 0, 30, 70 and 100 % needs that, although the
    formula beside it is written with a floor, which would give 493 at 30 %.
    Steps count from 0, so a run's last step is t = T - 1, just above the end of the curve; t = T is the budget that
    the trained model is left with, and that it is evaluated under. `config.enabled` is the caller's to obey.
    """
    falling = config.start * config.gamma ** elapsed(step, steps)
    return max(config.floor, round(falling))


# 3. The curriculum: from easy tokens to hard ones, by step alone.

Mixture = tuple[float, float, float]


class CurriculumConfig(Frozen):
    """Tier probabilities: `start` before the first turning point, `end` from the second, mixed linearly between."""

    enabled: bool = True
    """Draw by tier; without it, positions of all tiers are drawn alike, so each tier has the share that it has in the
    texts."""
    turning_points: tuple[float, float] = (0.3, 0.7)
    """Turning points as shares of the steps (paper)."""
    start: Mixture = (0.6, 0.3, 0.1)
    """Probabilities of easy, medium and hard at the start, p_a (ours)."""
    end: Mixture = (0.1, 0.3, 0.6)
    """Probabilities of easy, medium and hard at the end, p_b (ours)."""

    @field_validator("start", "end")
    @classmethod
    def _is_a_distribution(cls, value: Mixture) -> Mixture:
        if min(value) < 0 or abs(sum(value) - 1) > 1e-9:
            raise ValueError(f"{value} are not probabilities of easy, medium and hard that sum to 1")
        return value

    @model_validator(mode="after")
    def _turns_in_order(self) -> "CurriculumConfig":
        first, second = self.turning_points
        if not 0 <= first < second <= 1:
            raise ValueError(f"curriculum.turning_points={self.turning_points}: 0 <= first < second <= 1 does not hold")
        return self


def mixture(step: int, steps: int, config: CurriculumConfig) -> Mixture:
    """p_t: probabilities of easy, medium and hard at step t = `step` (from 0) of T = `steps`; they sum to one.

    p_a (`config.start`) up to the first turning point, p_b (`config.end`) from the second, linear in t between them.
    `config.enabled` is the caller's to obey: without a curriculum nothing is drawn by tier.
    """
    first, second = config.turning_points
    weight = min(1.0, max(0.0, (elapsed(step, steps) - first) / (second - first)))
    easy, medium, hard = ((1 - weight) * a + weight * b for a, b in zip(config.start, config.end, strict=True))
    return easy, medium, hard


# 4. The reward: whether a prediction is right, and what it earns with its reasoning length.


MatchRule = Literal["exact", "prefix", "likelihood"]


class RewardConfig(Frozen):
    """r = (1 - w) * match + w * r_len; without a budget r = match."""

    match: MatchRule = "exact"
    """`exact`: the prediction is the next token (paper). `prefix`: its bytes begin the true continuation and end where
    a token of it ends (arXiv 2506.08007). `likelihood`: in place of a match, log p of the true next token behind the
    closed thought, in nats, under the policy at the rollouts' temperature: RLP's information gain (arXiv 2510.01265),
    whose baseline without a thought is the same for a whole group and cancels. It is dense where matches are rare."""
    length_weight: float = Field(0.1, ge=0, le=1)
    """Weight w of the length reward (ours)."""
    length_max: float = Field(1.0, gt=0)
    """Length reward of exactly B_t tokens, r_max (ours)."""
    gated: bool = False
    """Pay the length reward only for a right prediction (ours)."""

    @model_validator(mode="after")
    def _gates_by_a_match(self) -> "RewardConfig":
        if self.gated and self.match == "likelihood":
            raise ValueError("reward.gated=true pays length for a right prediction, and match=likelihood asks for none")
        return self


def length_reward(length: int, budget: int, config: RewardConfig) -> float:
    """r_len, triangular in the reasoning length l: r_max * l / B up to B, r_max * (2B - l) / B up to 2B, then 0."""
    if budget < 1 or length < 0:
        raise ValueError(f"length={length}, budget={budget}: a length reward needs length >= 0 and budget >= 1")
    return config.length_max * max(0, min(length, 2 * budget - length)) / budget


def exact_match(prediction: str | None, target: str) -> bool:
    """Whether the prediction is the text of the true next token, leading spaces included; an empty one never is."""
    return bool(prediction) and prediction == target


def prefix_match(prediction: str | None, continuation: str, boundaries: Collection[int]) -> bool:
    """RPT's rule (arXiv 2506.08007, section 3.2): a non-empty byte prefix of what follows that ends with a token.

    Args:
        continuation: text of the next tokens, the true next token first.
        boundaries: byte offsets in the continuation's UTF-8 at which one of its tokens ends.
    """
    if not prediction:
        return False
    spoken = prediction.encode()
    return len(spoken) in boundaries and continuation.encode().startswith(spoken)


def is_match(
    prediction: str | None,
    target: str,
    continuation: str,
    boundaries: Collection[int],
    rule: MatchRule,
) -> bool:
    """Whether a prediction is right by `RewardConfig.match`; None (truncated, or nothing predicted) never is.

    Where likelihoods are rewarded, predictions are counted by the paper's rule.
    """
    if rule == "prefix":
        return prefix_match(prediction, continuation, boundaries)
    return exact_match(prediction, target)


def reward(match: float, length: int | None, budget: int, config: RewardConfig) -> float:
    """r = (1 - w) * match + w * r_len; r = match where no budget was asked.

    Args:
        match: whether the prediction is right, or the likelihood in its place.
        length: tokens of reasoning; None where it was never closed, which earns no length reward.
        budget: tokens asked for; 0 for none.
    """
    if budget == 0:
        return float(match)
    earns_length = length is not None and (match or not config.gated)
    r_len = length_reward(length, budget, config) if earns_length else 0.0
    return (1 - config.length_weight) * match + config.length_weight * r_len
