"""The method's own settings, each a part of the identity of every stage that has it as a field.

Numbering follows the paper (arXiv 2509.24375): tiers of token entropy, the dynamic token budget, the curriculum, the
reward. What the paper leaves open is marked "ours".
"""

from typing import Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from tasks.config import Frozen

Tier = Literal["easy", "medium", "hard"]
TIERS: tuple[Tier, ...] = ("easy", "medium", "hard")


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


class BudgetConfig(Frozen):
    """The dynamic token budget B_t = max(B_min, B_0 * gamma^(t/T)) of step t out of T, in whole tokens."""

    enabled: bool = True
    """Ask for B_t tokens of reasoning and reward their number; without it prompts name no budget (the ablation)."""
    start: int = Field(800, ge=1)
    """B_0, tokens (paper)."""
    floor: int = Field(1, ge=1)
    """B_min, tokens (paper)."""
    gamma: float = Field(0.2, gt=0, le=1)
    """Share of `start` that is left at the end (paper)."""

    @model_validator(mode="after")
    def _falls(self) -> "BudgetConfig":
        if self.floor > self.start:
            raise ValueError(f"budget.floor={self.floor} is above budget.start={self.start}")
        return self


Mixture = tuple[float, float, float]


class CurriculumConfig(Frozen):
    """Tier probabilities: `start` before the first turning point, `end` from the second, mixed linearly between."""

    enabled: bool = True
    """Without it, positions of all tiers are drawn alike, so each tier has the share that it has in the texts."""
    turning_points: tuple[float, float] = (0.3, 0.7)
    """Shares of the steps (paper)."""
    start: Mixture = (0.6, 0.3, 0.1)
    """p_a, probabilities of easy, medium, hard (ours)."""
    end: Mixture = (0.1, 0.3, 0.6)
    """p_b (ours)."""

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


class RewardConfig(Frozen):
    """r = (1 - w) * match + w * r_len; without a budget r = match."""

    match: Literal["exact", "prefix"] = "exact"
    """`exact`: the prediction is the next token (paper). `prefix`: its bytes begin the true continuation and end where
    a token of it ends (arXiv 2506.08007)."""
    length_weight: float = Field(0.1, ge=0, le=1)
    """w (ours)."""
    length_max: float = Field(1.0, gt=0)
    """r_max, the length reward of exactly B_t tokens (ours)."""
    gated: bool = False
    """Pay the length reward only for a right prediction (ours)."""


class PredictionPrompt(Frozen):
    """How a model is asked to reason about the next token. The wording is ours, the idea RPT's (arXiv 2506.08007)."""

    style: Literal["auto", "chat", "plain"] = "auto"
    """`chat`: the chat template around one user message. `plain`: the template as it stands. `auto`: `chat` where the
    tokenizer has a template."""
    template: str = (
        "Complete the text under ### Context by predicting its next token. Reason step by step inside <think></think>, "
        "using exactly {budget} tokens, then give the predicted token in \\boxed{}. A token may begin with a space; "
        "keep it inside the box.\n\n### Context\n{context}"
    )
    """With a budget. Placeholders: context, budget."""
    template_without_budget: str = (
        "Complete the text under ### Context by predicting its next token. Reason step by step inside <think></think>, "
        "then give the predicted token in \\boxed{}. A token may begin with a space; keep it inside the box."
        "\n\n### Context\n{context}"
    )
    """Without one. Placeholder: context."""
    prediction: Literal["boxed", "bare"] = "boxed"
    """Where the prediction stands after `</think>`: in the last `\\boxed{}`, or alone, as everything up to the end."""
    open_tag: str = "<think>"
    """Opens the reasoning; a single token of the tokenizer."""
    close_tag: str = "</think>"
    """Closes it; a single token of the tokenizer."""
    chat_template_kwargs: dict[str, JsonValue] = {}
    """Passed to the chat template, e.g. `{"enable_thinking": true}`."""

    @model_validator(mode="after")
    def _has_its_placeholders(self) -> "PredictionPrompt":
        for name, wanted in (("template", ("context", "budget")), ("template_without_budget", ("context",))):
            for placeholder in wanted:
                if getattr(self, name).count(f"{{{placeholder}}}") != 1:
                    raise ValueError(f"{name} must contain {{{placeholder}}} exactly once: {getattr(self, name)!r}")
        return self
