"""Step 4 (arXiv 2509.24375): whether a prediction is right, and what it earns with its reasoning length."""

from collections.abc import Collection
from typing import Literal

from tasks.rmt.budget import length_reward
from tasks.rmt.method import RewardConfig


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
    rule: Literal["exact", "prefix"],
) -> bool:
    """Whether a prediction is right by `RewardConfig.match`; None (truncated, or nothing predicted) never is."""
    if rule == "exact":
        return exact_match(prediction, target)
    return prefix_match(prediction, continuation, boundaries)


def reward(match: bool, length: int | None, budget: int, config: RewardConfig) -> float:
    """r = (1 - w) * match + w * r_len; r = match where no budget was asked.

    Args:
        length: tokens of reasoning; None where it was never closed, which earns no length reward.
        budget: tokens asked for; 0 for none.
    """
    if budget == 0:
        return float(match)
    earns_length = length is not None and (match or not config.gated)
    r_len = length_reward(length, budget, config) if earns_length else 0.0
    return (1 - config.length_weight) * match + config.length_weight * r_len
