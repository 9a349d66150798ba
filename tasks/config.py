"""The base of every configuration model: frozen, and closed to unknown keys."""

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """A configuration that cannot change after it was validated and that refuses keys it does not know.

    Stage identity is hashed from these models, so a value must not move between hashing and use.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, validate_default=True)
