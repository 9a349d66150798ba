"""What the parent tells the mid-training worker."""

from tasks.midtraining.config import MidtrainingConfig
from tasks.training.job import Place


class MidtrainingJob(Place):
    """One mid-training run."""

    config: MidtrainingConfig
