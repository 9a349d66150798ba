"""Field mappings of published question sets, one YAML file each in `presets/`; adding a file adds a preset."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import Field, ValidationError

from tasks.config import Frozen
from tasks.errors import did_you_mean
from tasks.questions.fields import FieldMapping
from tasks.shared.sources.errors import SourceError

PRESET_FOLDER = Path(__file__).parent / "presets"


class HubHome(Frozen):
    """Address of a set on the Hugging Face hub."""

    id: str
    subset: str = ""
    split: str = "test"
    fields: FieldMapping | None = None
    """Mapping for the hub, where its schema differs from the files that the publisher gives out."""


class SetSize(Frozen):
    """Size of a set, for cost estimates; nothing that is read depends on it."""

    rows: dict[str, int]
    """Distinct questions by split of the set's home."""
    question_chars: int = Field(ge=1)
    """Mean length of a question, characters."""
    solution_tokens: int = Field(ge=1)
    """Mean tokens of a solution that an instruction-tuned model without long thinking writes (ours, assumed)."""


class Preset(Frozen):
    """A published question set: its fields, and its home for `source: hub`."""

    description: str
    licence: str
    hub: HubHome | None = None
    size: SetSize | None = None
    """Size of the set; unknown for sets of a user, whose cost is estimated from `questions.limit`."""
    fields: FieldMapping


@cache
def preset_names() -> tuple[str, ...]:
    """Names of all presets, sorted."""
    return tuple(sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml")))


@cache
def load_preset(name: str) -> Preset:
    """The preset `name`. Raises `SourceError` listing the known names, or naming the wrong key of its file."""
    if name not in preset_names():
        raise SourceError(
            f"preset: unknown value {name!r}{did_you_mean(name, preset_names())} Known: {', '.join(preset_names())}. "
            f"For another set give `fields`, or add {name}.yaml to {PRESET_FOLDER.name}/"
        )
    path = PRESET_FOLDER / f"{name}.yaml"
    try:
        return Preset.model_validate(yaml.safe_load(path.read_text()))
    except (ValidationError, yaml.YAMLError) as error:
        raise SourceError(f"{path.name}: not a valid preset: {error}") from error
