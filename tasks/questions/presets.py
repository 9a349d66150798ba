"""Field mappings of question sets, one YAML file each: those in `presets/` by name, a user's own by path."""

from functools import cache
from pathlib import Path

from pydantic import Field

from tasks.config import Frozen
from tasks.errors import did_you_mean, in_a_line
from tasks.questions.fields import FieldMapping
from tasks.shared.sources.errors import SourceError
from tasks.yaml_text import read_yaml

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
    """A question set: its fields, and its home for `source: hub`."""

    description: str = ""
    licence: str = "unknown"
    hub: HubHome | None = None
    size: SetSize | None = None
    """Size of the set; unknown for sets of a user, whose cost is estimated from `questions.limit`."""
    fields: FieldMapping


@cache
def preset_names() -> tuple[str, ...]:
    """Names of all presets, sorted."""
    return tuple(sorted(path.stem for path in PRESET_FOLDER.glob("*.yaml")))


def load_preset(name: str) -> Preset:
    """The preset `name`, or the one in the YAML file at that path.

    Raises `SourceError` listing the known names, or naming the wrong key of the file.
    """
    if name.endswith((".yaml", ".yml")):
        return _read(Path(name).expanduser())
    if name not in preset_names():
        raise SourceError(
            f"preset: unknown value {name!r}{did_you_mean(name, preset_names())} Known: {', '.join(preset_names())}. "
            "For another set give `fields`, or the path of a YAML file that has them"
        )
    return _shipped(name)


@cache
def _shipped(name: str) -> Preset:
    return _read(PRESET_FOLDER / f"{name}.yaml")


def _read(path: Path) -> Preset:
    try:
        return Preset.model_validate(read_yaml(path))
    except ValueError as error:
        raise SourceError(f"preset: {path.name} is none: {in_a_line(error)}") from error
