"""What the prediction worker is asked for; the parent writes it, the child reads it."""

from pathlib import Path

from tasks.config import Frozen
from tasks.entropy.config import EntropyConfig
from tasks.spine.store.runtime import Runtime


class DirectJob(Frozen):
    """The likeliest next token at given positions of documents."""

    config: EntropyConfig
    """Windows and precision: those that the base model's entropy was computed with."""
    model: Path
    """Folder of the checkpoint."""
    drawn: Path
    """Parquet file of schema `DRAWN`."""
    out: Path
    """Parquet file of schema `LIKELIEST`, which the worker writes."""
    runtime: Runtime
