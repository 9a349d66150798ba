"""Settings of the schedule stage."""

from typing import ClassVar, Literal

from pydantic import Field

from tasks.config import RecipeSeed, StageConfig
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import BudgetConfig, CurriculumConfig, TierConfig


class ScheduleConfig(StageConfig):
    """Order in which positions of documents are predicted, and how the model is asked (arXiv 2509.24375)."""

    STAGE: ClassVar[str] = "schedule"

    tiers: TierConfig = TierConfig()
    """Entropy thresholds of easy, medium and hard."""
    budget: BudgetConfig = BudgetConfig()
    """Tokens of reasoning that prompts ask for. Schedules that differ in nothing else draw the same positions."""
    curriculum: CurriculumConfig = CurriculumConfig()
    """Probabilities of the tiers over the steps."""
    prediction_prompt: PredictionPrompt = PredictionPrompt()
    """Wording of the prompts, and where a prediction stands."""
    positions_per_step: int = Field(128, ge=1)
    """Positions whose rollouts make one batch (paper)."""
    epochs: int = Field(10, ge=1)
    """Passes over the documents (paper). A pass is one position a document, counted and not dealt out: tiers decide
    which documents they come from (ours)."""
    steps: int = Field(0, ge=0)
    """Steps of the whole run; 0 takes as many as `epochs` need (ours)."""
    max_documents: int | None = Field(None, ge=1)
    """Documents at most, the first by id, which is a digest and so as good as drawn (ours)."""
    max_prompt_tokens: int = Field(4_096, ge=1)
    """Positions whose prompt would be longer are not drawn, and counted (RPT, arXiv 2506.08007)."""
    continuation_tokens: int = Field(16, ge=1)
    """Tokens of the true continuation kept beside each position, for the prefix reward (ours)."""
    entropy_model: Literal["policy", "proxy"] = "policy"
    """Model whose entropy makes the tiers: that of the model that will be trained (paper), or that of another model
    with the same tokenizer, as in RPT. What is not said here is refused."""
    seed: RecipeSeed = 0
    """Seed of every draw."""
