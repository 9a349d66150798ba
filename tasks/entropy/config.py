"""The settings of the entropy stage, and the job of its worker."""

from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from tasks.config import Frozen, StageConfig
from tasks.spine.stage.gpus import WHOLE, Part
from tasks.spine.store.runtime import Runtime

CHUNK_TOKENS = 1 << 18
"""Tokens whose windows are sorted by length together, and held in memory (ours)."""


class EntropyConfig(StageConfig):
    """Next-token entropy in nats at every position of the texts: difficulty in arXiv 2509.24375. Defaults are ours."""

    STAGE: ClassVar[str] = "entropy"

    context_tokens: int = Field(2_048, ge=2)
    """Most tokens that a position is predicted from; longer documents are read in windows of so many."""
    overlap_tokens: int = Field(512, ge=1)
    """Fewest tokens that a position after the first window is predicted from: each window begins so many tokens before
    the first position that it predicts."""
    top_k: int = Field(0, ge=0)
    """Entropy over the likeliest tokens, renormalised; 0 takes them all. RPT (arXiv 2506.08007) takes 16."""
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    """Precision of the model; logits are summed in float32 whatever it is."""
    reserved_texts: tuple[str, ...] = ("<think>", "</think>")
    """Documents that hold one of these, or a special token of the tokenizer, are rejected: in a prompt they would not
    be text."""

    @field_validator("top_k")
    @classmethod
    def _is_a_distribution(cls, value: int) -> int:
        if value == 1:
            raise ValueError(
                "top_k=1 leaves one token, whose entropy is always 0; use 0 for the whole vocabulary, or 16"
            )
        return value

    @field_validator("reserved_texts")
    @classmethod
    def _are_texts(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if "" in value:
            raise ValueError("reserved_texts holds an empty text, which every document contains; remove it")
        return value

    @model_validator(mode="after")
    def _moves_on(self) -> "EntropyConfig":
        if self.overlap_tokens >= self.context_tokens:
            raise ValueError(
                f"overlap_tokens={self.overlap_tokens} must be below context_tokens={self.context_tokens}; "
                "lower overlap_tokens"
            )
        return self


class EntropyJob(Frozen):
    """Entropy of a corpus under a model."""

    config: EntropyConfig
    model: Path
    """Folder of the model."""
    texts: Path
    """Folder with the tables of the texts stage."""
    units: Path
    """Folder that receives a table of entropies and one of rejects for each row group of the texts; what is there from
    a run before is not made again."""
    part: Part = WHOLE
    """Row groups that are read."""
    runtime: Runtime
