"""Settings of the stage that gives a model think tags, and the job of the worker that adds them."""

from pathlib import Path
from typing import Annotated, ClassVar

from pydantic import Field

from tasks.config import NOT_HASHED, Frozen, Seed
from tasks.midtrain.config import MidtrainConfig
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.training.config import LRSchedule
from tasks.spine.store.runtime import Runtime


class ThinkTagsConfig(MidtrainConfig):
    """Think tags added as tokens, and a short SFT on "context, thought, next token"; the rest is SFT's own. All ours.

    A thought is what the model itself drafts as the text's continuation, cut to a length that half of the prompts ask
    for. So the SFT teaches where a thought opens, closes and is answered; thinking that helps is left to RL. Its loss
    falls on the context too, so that the model goes on saying of plain text what it said before.
    """

    STAGE: ClassVar[str] = "think_tags"

    seed: Seed = 0
    """Seed of the drafts and of the SFT; not the recipe's, so that all seeds of a comparison start from one model."""
    enabled: Annotated[bool, NOT_HASHED] = False
    """Start from the model with tags; off, the pipeline starts from the base model as it is."""
    prediction_prompt: PredictionPrompt = PredictionPrompt()
    """Prompts that the examples answer, and the tags: those of the schedule and of the measurement."""
    examples: int = Field(1000, ge=2)
    """Positions of the training texts to make examples of at most, spread over the documents (ours)."""
    thought_tokens: int = Field(32, ge=1)
    """Longest thought; each is cut to a length drawn from 1 to this (ours)."""
    temperature: float = Field(1.0, gt=0, le=2)
    """Temperature of the drafts; as in RL's rollouts, so that a thought is nothing new to the model (ours)."""
    learning_rate: float = Field(1e-4, gt=0)
    """Peak learning rate (ours)."""
    schedule: LRSchedule = "cosine"
    """Shape of the learning rate after warm-up (ours)."""
    epochs: int = Field(1, ge=1)
    """Passes over the examples (ours)."""
    batch_size: int = Field(16, ge=1)
    """Examples per optimiser step, over all devices (ours)."""
    row_penalty: float = Field(1e-3, gt=0)
    """Weight of a fitted row's squared distance from where it began; less finds the tags' places in the examples more
    exactly, and writes them into plain text more often (ours)."""
    max_length: int = Field(2048, ge=8)
    """Longest example, tokens; positions further into a document than that leaves room for are not drawn (ours)."""

    @property
    def drafts(self) -> Sampling:
        """How drafts are drawn: from the whole distribution."""
        return Sampling(temperature=self.temperature, top_p=1.0, max_new_tokens=self.thought_tokens)


class TagJob(Frozen):
    """One model that gets its tags."""

    model: Path
    """Folder of the model."""
    out: Path
    """Folder that receives the model with the tags."""
    tags: tuple[str, ...]
    """Tags that are looked at."""
    trust_remote_code: bool = False
    """Run model code that ships with the folder."""


class RowJob(TagJob):
    """One model with tags, whose rows of the output layer are fitted."""

    examples: Path
    """Parquet file of the examples."""
    form: PromptForm
    """How their prompts were made."""
    config: ThinkTagsConfig
    runtime: Runtime
