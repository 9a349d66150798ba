"""What the parent tells the mid-training worker."""

from tasks.midtrain.config import MidtrainingConfig
from tasks.shared.training.job import Place


class MidtrainingJob(Place):
    """One mid-training run."""

    config: MidtrainingConfig
