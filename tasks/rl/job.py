"""What the parent tells the RL worker."""

from pydantic import Field

from tasks.rl.config import RLConfig
from tasks.shared.training.job import RolloutPlace


class RLJob(RolloutPlace):
    """One RL run."""

    config: RLConfig
    num_verifiers: int = Field(1, ge=1)
    """Grader processes of the reward."""
    verifier_memory_mb: int = Field(2048, ge=256)
    """Address space of one grader, MiB."""
