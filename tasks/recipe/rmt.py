"""The recipe of reinforcement mid-training; baselines and ablations are arms that differ in configuration alone."""

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from tasks.entropy.config import EntropyConfig
from tasks.predict.config import PredictConfig
from tasks.recipe.base import ArmConfig, Recipe
from tasks.recipe.merging import closest
from tasks.rmt.config import RMTTrainConfig
from tasks.schedule.config import ScheduleConfig
from tasks.shared.models.config import ModelConfig
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import budget
from tasks.texts.config import TextsConfig
from tasks.think_tags.config import ThinkTagsConfig


class RmtArm(ArmConfig):
    """One way from the base model to one whose next-token predictions are measured."""

    rl: bool = False
    """Train with GRPO on questions at the end, and measure pass@k."""
    train: bool = True
    """Mid-train; without it the base model is measured as it is."""


_UNGUIDED = {"schedule.budget.enabled": False, "schedule.curriculum.enabled": False}

STANDARD_ARMS: dict[str, RmtArm] = {
    "ntr": RmtArm(label="NTR (untrained)", train=False, rl=True, overrides=_UNGUIDED),
    "ntp": RmtArm(label="NTP", overrides={**_UNGUIDED, "rmt_train.objective": "ntp"}),
    "rpt": RmtArm(
        label="RPT", rl=True, overrides={**_UNGUIDED, "rmt_train.ntp_weight": 0.0, "rmt_train.reward.match": "prefix"}
    ),
    "rmt": RmtArm(label="RMT", rl=True, against="rpt"),
    "no-budget": RmtArm(label="RMT without budget", against="rmt", overrides={"schedule.budget.enabled": False}),
    "no-curriculum": RmtArm(
        label="RMT without curriculum", against="rmt", overrides={"schedule.curriculum.enabled": False}
    ),
    "no-ntp": RmtArm(label="RMT without NTP", against="rmt", overrides={"rmt_train.ntp_weight": 0.0}),
    "rollout-sft": RmtArm(label="Rollout SFT", against="rmt", overrides={"rmt_train.objective": "sft"}),
}
"""Baselines and ablations of arXiv 2509.24375, and the control that fine-tunes on what RMT is rewarded for."""
MIXED_SFT = RmtArm(
    label="Mixed SFT",
    rl=True,
    against="rmt",
    overrides={**_UNGUIDED, "rmt_train.objective": "ntp", "rmt_train.chains_per_position": 1},
)
"""Raw worked text and long chains learned in one stage (ours): one more arm where a recipe has chains."""


class RmtRecipe(Recipe):
    """Everything that reinforcement mid-training (arXiv 2509.24375) does, from the texts to the report."""

    SHARED: ClassVar[tuple[str, ...]] = ("prediction_prompt", *Recipe.SHARED)

    method: Literal["rmt"] = "rmt"
    prediction_prompt: PredictionPrompt = PredictionPrompt()
    """Wording of the prompts of the schedule and of the measurement."""
    texts: TextsConfig = TextsConfig()
    evaluation_texts: TextsConfig | None = None
    """A second domain: a corpus whose held-out documents are predicted in place of those of `texts`. Training does not
    change with it, so that a checkpoint is measured on both for the price of one."""
    chains: TextsConfig | None = None
    """Questions with long chains of thought, tags and all, one a document: `rmt_train.chains_per_position` learns
    them."""
    think_tags: ThinkTagsConfig = ThinkTagsConfig()
    """Tags for a base model that has none: all stages then start from the model with tags, one for all seeds."""
    entropy: EntropyConfig = EntropyConfig()
    entropy_model: ModelConfig | None = None
    """A small proxy that entropy is measured under, as in RPT; None takes the policy itself. It needs the policy's
    tokenizer, and `schedule.entropy_model: proxy` says that the difference is meant."""
    schedule: ScheduleConfig = ScheduleConfig()
    rmt_train: RMTTrainConfig = RMTTrainConfig()
    predict: PredictConfig = PredictConfig()
    arms: dict[str, RmtArm] = Field(default_factory=lambda: dict(STANDARD_ARMS))
    run_arms: tuple[str, ...] = ("ntr", "rpt", "rmt")
    """Arms of `midtrain run rmt`; a comparison runs all."""

    @model_validator(mode="before")
    @classmethod
    def _learns_its_chains(cls, values: dict[str, Any]) -> dict[str, Any]:
        if values.get("chains") and "arms" not in values:
            return {**values, "arms": {**STANDARD_ARMS, "mixed-sft": MIXED_SFT}}
        return values

    @model_validator(mode="after")
    def _runs_arms_that_exist(self) -> "RmtRecipe":
        for name in self.run_arms:
            if name not in self.arms:
                raise ValueError(f"run_arms: no arm {name!r}{closest(name, self.arms)}")
        return self

    @model_validator(mode="after")
    def _has_no_solutions(self) -> "RmtRecipe":
        if self.rl.sft_weight:
            raise ValueError(
                f"rl.sft_weight={self.rl.sft_weight} needs the solutions of self-generated mid-training, which this "
                "method has not; set it to 0, or take a recipe of the method polya"
            )
        return self

    @model_validator(mode="after")
    def _has_the_chains_that_it_learns(self) -> "RmtRecipe":
        if self.rmt_train.chains_per_position and not self.chains:
            raise ValueError(
                f"rmt_train.chains_per_position={self.rmt_train.chains_per_position} learns documents of `chains`, "
                "which is not set; set chains.source to a corpus of long chains, or rmt_train.chains_per_position to 0"
            )
        return self

    def prediction_at_end(self) -> PredictConfig:
        """The measurement, asking for the budget that training ended with."""
        if not self.schedule.budget.enabled:
            return self.predict
        return self.predict.model_copy(update={"budget_tokens": budget(1, 1, self.schedule.budget)})
