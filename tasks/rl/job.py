"""What the parent tells the RL worker."""

from typing import Literal

from pydantic import Field

from tasks.rl.config import RLConfig
from tasks.training.job import Place


class RLJob(Place):
    """One RL run."""

    config: RLConfig
    engine: Literal["auto", "transformers", "vllm", "openai"] = "auto"
    """What writes rollouts; `auto` is vLLM on a GPU and transformers on a CPU."""
    vllm_memory_share: float = Field(0.3, gt=0, le=1)
    """Share of GPU memory that vLLM takes beside the trainer."""
    num_verifiers: int = Field(1, ge=1)
    """Grader processes of the reward."""
    verifier_memory_mb: int = Field(2048, ge=256)
    """Address space of one grader, MiB."""
