"""What the parent tells the mid-training worker."""

from tasks.midtrain.config import MidtrainConfig
from tasks.shared.training.job import Place


class MidtrainJob(Place):
    """One mid-training run."""

    config: MidtrainConfig
