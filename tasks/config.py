"""What every configuration model stands on: a base that is frozen and closed to unknown keys, and seeds."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

LARGEST_SEED = 2**32 - 1
"""What NumPy takes."""
Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
"""Seed of a random generator."""


class Frozen(BaseModel):
    """A configuration that cannot change after it was validated and that refuses keys it does not know.

    Stage identity is hashed from these models, so a value must not move between hashing and use.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True, allow_inf_nan=False
    )
