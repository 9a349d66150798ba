"""The identity of a reinforcement mid-training run, and the job of its worker."""

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from tasks.config import ADDED, NOT_HASHED, Frozen, StageConfig
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import RewardConfig
from tasks.shared.training.config import GRPOSettings, LRSchedule, RolloutJob


class CriticConfig(Frozen):
    """A linear critic: ridge regression of rewards on the policy's state at the end of a position's prompt (ours)."""

    ridge: float = Field(0.1, gt=0)
    """Penalty on the weights; a state has length 1, so it weighs as that many rollouts of one state (ours)."""
    decay: float = Field(0.95, gt=0, le=1)
    """Weight that a step's rollouts keep from one step to the next: the policy and its states move on (ours)."""


class RMTTrainConfig(GRPOSettings, StageConfig):
    """L = L_RL + lambda * L_NTP over a schedule that was written ahead (arXiv 2509.24375).

    From the paper: lambda, 8 rollouts a prompt, completions of 2,048 tokens, learning rate 1e-6. Steps, positions per
    step, order and prompts are the schedule's.
    """

    STAGE: ClassVar[str] = "rmt_train"

    objective: Literal["grpo", "sft", "ntp"] = "grpo"
    """The loss beside L_NTP. `grpo`: L_RL (paper). `sft`: cross-entropy on the rollouts whose prediction is right, the
    same rollouts and the same compute without advantages: a strong control (ours). `ntp`: none;
    plain next-token training with weight 1 on every position of the same texts in the same order (paper's baseline)."""
    ntp_weight: float = Field(0.1, ge=0)
    """Weight lambda of next-token prediction on the positions that are never drawn (paper); 0 leaves it out."""
    ntp_context_tokens: int = Field(2048, ge=3)
    """Longest piece of a document in one row of L_NTP; the model's context where that is shorter (ours)."""
    ntp_overlap_tokens: int = Field(512, ge=1)
    """Tokens that the pieces of a longer document share, so that every position has a past (ours)."""
    chains_per_position: Annotated[int, ADDED] = Field(0, ge=0)
    """Documents of the recipe's `chains` that a step of plain next-token training learns whole beside its texts, for
    each position that it has: fine-tuning on raw worked text and long chains in one stage, a control (ours; needs
    objective=ntp)."""
    reward: RewardConfig = RewardConfig()
    """Rule of a match, and the length reward."""
    prediction_prompt: PredictionPrompt = PredictionPrompt()
    """Tags and place of the prediction in a completion; the schedule must have been written with the same."""
    learning_rate: float = Field(1e-6, gt=0)
    """Peak learning rate (paper)."""
    schedule: LRSchedule = "constant_with_warmup"
    """Shape of the learning rate after warm-up (ours)."""
    warmup_share: float = Field(0.0, ge=0, lt=1)
    """Share of all optimiser steps spent on warm-up (ours)."""
    group_size: int = Field(8, ge=1)
    """Rollouts per position, G (paper); 1 goes with `baseline: critic` alone."""
    baseline: Annotated[Literal["group", "critic"], NOT_HASHED] = "group"
    """What advantages are taken from. `group`: the mean reward of the position's rollouts (paper). `critic`: what a
    critic expects of the position, so that one rollout of each is enough and as many rollouts reach `group_size` times
    as many positions (`schedule.positions_per_step`). The critic is fitted on the steps before. Advantages are divided
    by their standard deviation in the batch, or by nothing where `trl.scale_rewards` is `none`; a batch whose rewards
    are all equal teaches nothing, and `max_zero_advantage_steps` counts it. The objectives `sft` and `ntp` have no
    advantages, and learn the same with either (ours)."""
    critic: Annotated[CriticConfig, NOT_HASHED] = CriticConfig()
    """The critic of `baseline: critic`."""
    max_completion_tokens: int = Field(2048, ge=1)
    """Longest rollout, reasoning and prediction; one that reaches it without an end has no match (paper)."""
    max_unclosed_steps: int = Field(20, ge=1)
    """Consecutive batches in which no rollout closes its reasoning before the run stops: no reward can be above 0
    without (ours)."""

    @model_validator(mode="after")
    def _likelihoods_have_a_place(self) -> "RMTTrainConfig":
        if self.reward.match == "likelihood" and self.objective != "ntp":
            if self.prediction_prompt.prediction != "bare":
                raise ValueError(
                    "reward.match=likelihood scores the token right behind the closing tag, where a boxed prediction "
                    "has none; set prediction_prompt.prediction=bare, with templates that ask for no box"
                )
            if self.objective == "sft":
                raise ValueError("objective=sft learns from right predictions; reward.match=likelihood asks for none")
        return self

    @model_validator(mode="after")
    def _learns_chains_as_text(self) -> "RMTTrainConfig":
        if self.chains_per_position and self.objective != "ntp":
            raise ValueError(
                f"chains_per_position={self.chains_per_position} belongs to plain next-token training; set "
                f"objective=ntp in place of {self.objective}, or chains_per_position to 0"
            )
        return self

    @model_validator(mode="after")
    def _has_a_baseline(self) -> "RMTTrainConfig":
        if self.baseline == "group":
            if self.group_size == 1:
                raise ValueError(
                    "group_size=1 leaves no other rollout of a position to compare with; set group_size to 2 or more, "
                    "or baseline=critic"
                )
            return self
        if self.group_size != 1:
            raise ValueError(
                f"group_size={self.group_size}: baseline=critic takes one rollout of each position; set group_size=1, "
                f"and multiply schedule.positions_per_step by {self.group_size} for as many rollouts"
            )
        if self.trl.scale_rewards == "mean":
            raise ValueError(
                "trl.scale_rewards=mean divides by the mean of a group, and baseline=critic has none; set "
                "trl.scale_rewards to batch or none"
            )
        return self

    @model_validator(mode="after")
    def _windows_move_on(self) -> "RMTTrainConfig":
        if self.ntp_overlap_tokens >= self.ntp_context_tokens:
            raise ValueError(
                f"ntp_overlap_tokens={self.ntp_overlap_tokens} must be below "
                f"ntp_context_tokens={self.ntp_context_tokens}; lower ntp_overlap_tokens"
            )
        return self

    @property
    def has_critic(self) -> bool:
        """Whether advantages are a critic's."""
        return self.objective == "grpo" and self.baseline == "critic"

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed; the critic's where there is one."""
        critic = {"baseline": self.baseline, "critic": self.critic} if self.has_critic else {}
        return {**super().identity_payload(), **critic}


class RMTJob(RolloutJob):
    """One run; `data` is the folder of the schedule."""

    config: RMTTrainConfig
    form: PromptForm = PromptForm()
    """How the schedule's prompts were made."""
    chains: Path | None = None
    """Table of the chains that are learned beside the texts."""
    tokenizer_digest: str = ""
    """Digest of the tokenizer that the schedule was written with; empty leaves it unchecked."""
