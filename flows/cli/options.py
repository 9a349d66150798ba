"""Options that commands share, and how their values are read."""

import json
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Any

import typer

from flows.cli.catalog import completion

RecipeOption = Annotated[
    str, typer.Option("--recipe", help="Recipe name, or path of a YAML file.", autocompletion=completion.recipes)
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Override a setting, e.g. generate.samples_per_heuristic=8.",
        autocompletion=completion.overrides,
    ),
]
RmtRecipeOption = Annotated[
    str,
    typer.Option(
        "--recipe", help="Recipe of method rmt: name, or path of a YAML file.", autocompletion=completion.recipes
    ),
]
LimitOption = Annotated[int | None, typer.Option(help="Seed questions at most.", min=1)]
DocumentsOption = Annotated[int | None, typer.Option("--limit", help="Training documents at most.", min=1)]
ArmsOption = Annotated[
    str,
    typer.Option(
        "--arms", help="Comma-separated arms of the recipe; empty: its usual ones.", autocompletion=completion.arms
    ),
]
SeedOption = Annotated[int | None, typer.Option(help="Of generation and training.", min=0)]
ModelOption = Annotated[
    str,
    typer.Option(
        "--base-model", help="Folder, org/name, s3://... or model/<fingerprint>.", autocompletion=completion.models
    ),
]
ForceOption = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="STAGE", help="Build this stage again.", autocompletion=completion.stages),
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", help="E.g. h100-80g; empty: what the recipe is sized for.", autocompletion=completion.devices
    ),
]
FieldsOption = Annotated[
    str,
    typer.Option(
        metavar="NAME=FIELD,...", help="Fields of question and answer, e.g. question=problem,answer=solution; or JSON."
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="For programs: JSON instead of lines for people.")]
VerboseOption = Annotated[
    bool, typer.Option("--verbose", help="Show Prefect's own log lines instead of the progress of the stages.")
]
LicenceOption = Annotated[
    str, typer.Option(help="Licence on the card, as the hub calls it; empty: the base model's, where its card says.")
]


class PoolType(StrEnum):
    """Kinds of work pools that there are templates for."""

    process = "process"
    docker = "docker"
    kubernetes = "kubernetes"


class PushKind(StrEnum):
    """Kinds of artifacts that a hub has repositories for."""

    model = "model"
    dataset = "dataset"


def parse_overrides(pairs: list[str] | None) -> dict[str, Any]:
    """`key=value` pairs; values are read as JSON or else YAML, so numbers, lists and `null` work."""
    overrides = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals:
            raise typer.BadParameter(f"--set {pair!r} is not KEY=VALUE")
        overrides[key.strip()] = _value(value, f"--set {pair!r}")
    return overrides


def parse_fields(text: str) -> dict[str, Any]:
    """The mapping of a question set: `question=problem,answer=solution`, or JSON as in a recipe."""
    if text.lstrip().startswith("{"):
        found = _value(text, f"--fields {text!r}")
        return found if isinstance(found, dict) else {}
    pairs = [part.partition("=") for part in split(text)]
    if wrong := [name for name, equals, _ in pairs if not equals]:
        raise typer.BadParameter(f"--fields {wrong[0]!r} is not NAME=FIELD, such as question=problem")
    found = {name.strip(): field.strip() for name, _, field in pairs}
    if len(found) < len(pairs):
        raise typer.BadParameter(f"--fields {text!r} names a field twice")
    return found


def parse_benchmarks(text: str) -> dict[str, str]:
    """Benchmarks by name, each with the file of one's own that it is read from, or ''."""
    found = {}
    for part in split(text):
        name, equals, path = part.partition("=")
        if equals and not path:
            raise typer.BadParameter(f"--benchmarks {part!r} names no file; write {name}=FILE, or {name} alone")
        if name in found:
            raise typer.BadParameter(f"--benchmarks {text!r} names {name} twice")
        found[name] = path
    return found


def _value(text: str, option: str) -> Any:
    from tasks.yaml_text import parsed_yaml

    try:
        with suppress(ValueError):
            return json.loads(text, object_pairs_hook=_once)
        return parsed_yaml(text)
    except ValueError as error:
        raise typer.BadParameter(f"{option} is neither JSON nor YAML: {error}") from error
    except RecursionError:
        raise typer.BadParameter(f"{option[:80]}: a value is nested too deeply to be read") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)


def split(text: str) -> list[str]:
    """Parts of a comma-separated option."""
    return [part.strip() for part in text.split(",") if part.strip()]


def split_seeds(text: str) -> list[int]:
    """Numbers of the comma-separated option `--seeds`, at least one."""
    parts = split(text)
    if not parts or not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(f"--seeds {text!r}: give whole numbers with commas between, such as 0,1,2")
    return [int(part) for part in parts]
