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
NOT_HASHED = "not hashed"
"""Mark of a field that a stage's identity leaves out as it stands: it changes nothing of what is made, the parents tell
it, or `identity_payload` adds it in another form."""
ADDED = "added"
"""Mark of a field that came later than others: it is hashed where it differs from its default alone, so that what was
made before it keeps its key. Such a default never changes."""
LARGEST_NUMBER = 2**63 - 1
"""What Parquet, databases and Prefect's server take for a whole number."""


class Frozen(BaseModel):
    """A configuration that cannot change after it was validated and that refuses keys it does not know.

    Stage identity is hashed from these models, so a value must not move between hashing and use.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, allow_inf_nan=False)

    def identity_payload(self) -> dict[str, Any]:
        """Fields as a stage's identity hashes them, by their marks; a subclass adds what else decides."""
        fields = {name: field for name, field in type(self).model_fields.items() if NOT_HASHED not in field.metadata}
        values = {name: getattr(self, name) for name in fields}
        return {
            name: value
            for name, value in values.items()
            if ADDED not in fields[name].metadata or value != fields[name].get_default(call_default_factory=True)
        }

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
