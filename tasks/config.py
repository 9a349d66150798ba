"""What every configuration model stands on: bases that are frozen and closed to unknown keys, and seeds."""

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

LARGEST_SEED = 2**32 - 1
"""What NumPy takes."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
"""Seed of a random generator."""
OF_RECIPE = "of the recipe"
"""Mark of a field that takes the value which the recipe has under the same name."""
RecipeSeed = Annotated[Seed, OF_RECIPE]
"""Seed that is the recipe's, wherever the section stands in one."""
LARGEST_NUMBER = 2**63 - 1
"""What Parquet, databases and Prefect's server take for a whole number."""


class Frozen(BaseModel):
    """A configuration that cannot change after it was validated and that refuses keys it does not know.

    Stage identity is hashed from these models, so a value must not move between hashing and use.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    @field_validator("*")
    @classmethod
    def _fits_in_64_bits(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise ValueError(f"no whole number may be larger than {LARGEST_NUMBER}")
        return value


class StageConfig(Frozen):
    """Settings of a stage: a section of every recipe whose method has the stage."""

    STAGE: ClassVar[str]
    """Name of the stage."""
