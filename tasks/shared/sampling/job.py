"""What the generation worker is asked for; the parent writes it, the child reads it."""

from pathlib import Path

from tasks.config import Frozen
from tasks.shared.engines.protocol import Sampling
from tasks.spine.store.runtime import Runtime


class SampleSetJob(Frozen):
    """Samples under one sampling."""

    wanted: Path
    """Parquet file of schema `WANTED`; what the pool has already is skipped."""
    pool: str
    """Address of the pool folder."""
    sampling: Sampling


class SamplingJob(Frozen):
    """One engine start, any number of sample sets."""

    model: Path
    """Folder with weights and tokenizer."""
    sets: tuple[SampleSetJob, ...]
    runtime: Runtime
    as_messages: bool = False
    """Prompts are bare user messages, for a server that applies a chat template of its own."""
    flush_s: float = 30.0
    """Seconds after which finished completions are written even if a batch is not full. Ours."""
