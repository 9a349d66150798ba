"""The settings of GRPO that every stage trained by it shares; every one of them is part of a stage's identity."""

from typing import Literal, Self

from pydantic import Field, model_validator

from tasks.shared.training.optimization import Optimization


class GRPOSettings(Optimization):
    """GRPO (arXiv 2402.03300): groups of rollouts, and advantages (r - mean) / (std + 1e-4) within each.

    What a method's paper gives is a default of its own class. Every setting of TRL's that changes results is written
    here, so that its defaults may move without moving a run.
    """

    group_size: int = Field(ge=2)
    """Rollouts per prompt."""
    num_iterations: int = Field(1, ge=1)
    """Optimiser steps per rollout batch, mu of GRPO's algorithm 1 (ours: 1, on-policy)."""
    temperature: float = Field(1.0, gt=0)
    """Of rollouts, and of the policy whose probabilities are trained (ours)."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of rollouts; below 1 the trained policy is not the sampled one (ours)."""
    top_k: int = Field(0, ge=0)
    """Likeliest tokens that rollouts are drawn from; 0 keeps all (ours)."""
    max_completion_tokens: int = Field(ge=1)
    """Longest rollout; one that reaches it without an end is cut, and right in nothing."""
    mask_truncated_completions: bool = False
    """Keep cut rollouts out of the loss, as DAPO does; their reward stays in the group's mean (ours)."""
    loss_type: Literal["grpo", "dr_grpo", "dapo", "cispo"] = "dapo"
    """How token losses are averaged: per sequence (arXiv 2402.03300), by the constant `max_completion_tokens`
    (arXiv 2503.20783), over all tokens of the batch (arXiv 2503.14476), or that with clipped weights
    (arXiv 2506.13585) (ours)."""
    scale_rewards: Literal["group", "batch", "none"] = "group"
    """Standard deviation that advantages are divided by (GRPO: the group's)."""
    beta: float = Field(0.0, ge=0)
    """Weight of the KL divergence from the starting model."""
    epsilon: float = Field(0.2, gt=0)
    """Lower clip of the probability ratio (GRPO)."""
    epsilon_high: float = Field(0.2, gt=0)
    """Upper clip of the probability ratio; DAPO has 0.28 (ours)."""
    importance_sampling_level: Literal["token", "sequence"] = "token"
    """What a probability ratio is taken of; `sequence` is GSPO (arXiv 2507.18071) (ours)."""
    entropy_coef: float = Field(0.0, ge=0)
    """Weight of an entropy bonus (ours: none)."""
    top_entropy_quantile: float = Field(1.0, gt=0, le=1)
    """Share of tokens, by entropy, that carry loss (arXiv 2506.01939); 1 is all (ours)."""
    sampler_correction: Literal["none", "sequence_mask", "sequence_truncate", "token_mask", "token_truncate"] = (
        "sequence_mask"
    )
    """Correction for vLLM and the trainer disagreeing on probabilities; without vLLM they do not (ours)."""
    sampler_correction_max: float = Field(3.0, gt=1)
    """Bound of that ratio (ours)."""
    max_dead_steps: int = Field(50, ge=1)
    """Consecutive batches in which no group has rollouts of different reward before the run stops: without such a
    group there is no gradient. It ends well where all are right, and fails with that cause elsewhere (ours)."""

    @model_validator(mode="after")
    def _clip_is_an_interval(self) -> Self:
        if self.epsilon >= 1:
            raise ValueError(f"epsilon={self.epsilon}: the lower clip 1 - epsilon must stay above 0")
        return self
