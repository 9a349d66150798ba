"""What decides which positions are predicted, how, and what is counted."""

from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from tasks.config import Frozen, Seed, StageConfig
from tasks.entropy.config import EntropyConfig
from tasks.shared.engines.protocol import Sampling
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import TierConfig
from tasks.spine.stage.gpus import WHOLE, Part
from tasks.spine.store.runtime import Runtime


class PredictionSampling(Sampling):
    """Sampling of the whole distribution; a class, so that a recipe may set one field."""

    temperature: float = Field(0.8, ge=0, le=2)
    """RPT's in training (arXiv 2506.08007); the paper gives none. 0 decodes greedily, once."""
    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus; 1 keeps all."""
    max_new_tokens: int = Field(2048, ge=1)
    """Longest completion, reasoning and prediction together (paper, in training)."""


class PredictConfig(StageConfig):
    """Accuracy of one checkpoint at positions drawn from the entropy of a base model, the same for every checkpoint.

    The paper evaluates 200 problems of OmniMATH by tier; counts, draws and intervals are ours.
    """

    STAGE: ClassVar[str] = "predict"

    tiers: TierConfig = TierConfig()
    prediction_prompt: PredictionPrompt = PredictionPrompt()
    budget_tokens: int = Field(0, ge=0)
    """Tokens of reasoning that the prompt asks for; 0 names no budget. What the checkpoint was trained towards."""
    documents: int = Field(500, ge=2)
    """Held-out documents at most; positions come from these."""
    positions_per_tier: int = Field(500, ge=1)
    """Positions of each tier at most, spread over the documents."""
    samples: int = Field(4, ge=1)
    """Completions of each position with reasoning; their mean is its accuracy."""
    sampling: PredictionSampling = PredictionSampling()
    max_prompt_tokens: int = Field(4096, ge=1)
    """Positions whose prompt is longer are not drawn; counted. RPT's."""
    seed: Seed = 0
    """Seed of positions, samples and the bootstrap; not the recipe's, so that all models meet the same positions. A
    sample's draws follow from this seed, its number, the prompt and the model's weights."""
    confidence: float = Field(0.95, gt=0.5, lt=1)
    """Coverage of the intervals."""
    resamples: int = Field(2000, ge=100)
    """Bootstrap resamples of documents."""

    @property
    def num_samples(self) -> int:
        """Completions of each position; greedy decoding has one to give."""
        return 1 if self.sampling.greedy else self.samples

    def drawing(self) -> dict[str, Any]:
        """The settings that decide which positions are drawn, so that two predictions can be told to share them."""
        names = ("tiers", "documents", "positions_per_tier", "max_prompt_tokens", "seed")
        return {name: getattr(self, name) for name in names}


class DirectJob(Frozen):
    """Job of the prediction worker: the likeliest next token at drawn positions of documents.

    The parent writes it, the worker reads it.
    """

    config: EntropyConfig
    """Windows and precision: those that the base model's entropy was computed with."""
    model: Path
    """Folder of the checkpoint."""
    drawn: Path
    """Parquet file of schema `DRAWN`."""
    out: Path
    """Parquet file of schema `LIKELIEST`, which the worker writes."""
    part: Part = WHOLE
    """Chunks of documents that are read."""
    runtime: Runtime
