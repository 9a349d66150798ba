"""What the parent tells the entropy worker."""

from pathlib import Path

from tasks.config import Frozen
from tasks.entropy.config import EntropyConfig
from tasks.spine.store.runtime import Runtime


class EntropyJob(Frozen):
    """Entropy of a corpus under a model."""

    config: EntropyConfig
    model: Path
    """Folder of the model."""
    texts: Path
    """Folder with the tables of the texts stage."""
    out: Path
    """Folder that receives the table and the rejects."""
    runtime: Runtime
