"""The identity of a model between two others, and the job of its worker."""

from pathlib import Path
from typing import ClassVar

from pydantic import Field

from tasks.config import Frozen, StageConfig


class InterpolateConfig(StageConfig):
    """Weights (1 - alpha) * base + alpha * mid-trained, as in WiSE-FT (arXiv 2109.01903).

    Between a model and its fine-tuned self lie models with more pass@k than either (arXiv 2504.10478). So RL from such
    a model controls for how far mid-training went, whatever it taught.
    """

    STAGE: ClassVar[str] = "interpolate"

    alpha: float = Field(1.0, gt=0, le=1)
    """Share of the mid-trained model, for every weight. At 1 the arm has no such stage, and RL starts from the
    mid-trained model itself (ours)."""


class InterpolateJob(Frozen):
    """Two models, and where the one between them is written."""

    base: Path
    model: Path
    """Folder of the mid-trained model, whose tokenizer and configuration the new one gets too."""
    out: Path
    alpha: float
