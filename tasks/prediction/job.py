"""What the prediction worker is asked for; the parent writes it, the child reads it."""

from pathlib import Path

from tasks.artifacts.runtime import Runtime
from tasks.config import Frozen


class DirectJob(Frozen):
    """The likeliest next token at given positions of given contexts."""

    model: Path
    """Folder of the checkpoint."""
    contexts: Path
    """Parquet file of schema `CONTEXTS`."""
    out: Path
    """Parquet file of schema `LIKELIEST`, written by the worker."""
    runtime: Runtime
