"""Settings of the stage that counts rows."""

from typing import ClassVar

from pydantic import Field

from tasks.config import RecipeSeed, StageConfig


class TallyConfig(StageConfig):
    """Which rows of a dataset are counted."""

    STAGE: ClassVar[str] = "tally"

    share: float = Field(1.0, gt=0, le=1)
    """Share of the rows that is drawn."""
    seed: RecipeSeed = 0
    """Seed of that draw."""
