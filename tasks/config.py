"""What every configuration model stands on: a base that is frozen and closed to unknown keys, and seeds."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

LARGEST_SEED = 2**32 - 1
"""What NumPy takes."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
"""Seed of a random generator."""
LARGEST_NUMBER = 2**63 - 1
"""What Parquet, databases and Prefect's server take for a whole number."""


class Frozen(BaseModel):
    """A configuration that cannot change after it was validated and that refuses keys it does not know.

    Stage identity is hashed from these models, so a value must not move between hashing and use.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )

    @field_validator("*")
    @classmethod
    def _fits_in_64_bits(cls, value: Any) -> Any:
        if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
            raise ValueError(f"no whole number may be larger than {LARGEST_NUMBER}")
        return value
