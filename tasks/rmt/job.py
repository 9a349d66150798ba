"""What the parent tells the reinforcement mid-training worker."""

from tasks.rmt.config import RMTTrainConfig
from tasks.shared.training.job import RolloutPlace


class RMTJob(RolloutPlace):
    """One run; `data` is the folder of the schedule."""

    config: RMTTrainConfig
    tokenizer_digest: str = ""
    """Of the tokenizer that the schedule was written with; empty leaves it unchecked."""
