"""The identity of a mid-training run, and the job of its worker."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from tasks.config import ADDED, StageConfig
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.training.config import LRSchedule, Optimization, TrainJob


class MidtrainConfig(Optimization, StageConfig):
    """Supervised fine-tuning on question -> solution pairs, loss on the solution only.

    arXiv 2605.08472 fine-tunes with TRL before RL and publishes no hyper-parameters; all defaults here are ours.
    """

    STAGE: ClassVar[str] = "midtrain"

    learning_rate: float = Field(1e-5, gt=0)
    """Peak learning rate (ours)."""
    schedule: LRSchedule = "cosine"
    """Shape of the learning rate after warm-up (ours)."""
    warmup_share: float = Field(0.03, ge=0, lt=1)
    """Share of all optimiser steps spent on warm-up (ours)."""
    epochs: int = Field(2, ge=1)
    """Passes over the dataset (ours: 1 to 3)."""
    batch_size: int = Field(64, ge=1)
    """Examples per optimiser step, over all devices. Every token of a step weighs the same (ours)."""
    entropy_coef: Annotated[float, ADDED] = Field(0.0, ge=0)
    """Weight c of the entropy H of each predicted token in the loss -log p - c * H (arXiv 1701.06548): fine-tuning that
    keeps other continuations alive, as arXiv 2408.16673 asks of SFT by another loss. 0 is plain cross-entropy
    (ours)."""
    max_length: int = Field(4096, ge=8)
    """Longest example, prompt and completion, tokens. A longer one fails the run before it starts: nothing is cut."""
    batching: Literal["packed", "length_grouped"] = "packed"
    """How a step's examples share forward passes: several a row behind a block-diagonal mask, or one a row beside
    others of its length. The loss is the same; `length_grouped` is for models that cannot mask packed rows (ours)."""
    pack_length: int = Field(0, ge=0)
    """Tokens of a packed row, or the longest example where that is longer; 0 takes the longest example of each step.
    Attention cost grows with it and padding falls (ours)."""


class MidtrainJob(TrainJob):
    """One mid-training run."""

    config: MidtrainConfig
    form: PromptForm = PromptForm()
    """How the dataset's prompts were made."""
    whole: bool = False
    """Loss on every token of an example but the first, not on its completion alone."""
    section: str = "midtrain"
    """Section of the recipe that the settings stand in, for messages."""
