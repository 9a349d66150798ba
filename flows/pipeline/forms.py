"""What the form in Prefect's UI shows and checks: one annotated type for each parameter of the flows."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import GetJsonSchemaHandler, JsonValue, WithJsonSchema
from pydantic_core import CoreSchema

from flows.pipeline.settings_schema import NO_PASSWORD, settings_schema
from tasks.evaluate.config import benchmark_names
from tasks.questions.presets import preset_names
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import DEFAULTS, METHODS, load, names


@dataclass(frozen=True)
class About:
    """What Prefect's form says about a parameter; a description in pydantic's `Field` is lost on the way there."""

    text: str

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        schema = handler(core_schema)
        return {**schema, **(NO_PASSWORD if schema.get("type") == "string" else {}), "description": self.text}


def recipe_form(method: str = "") -> WithJsonSchema:
    """A drop-down of recipes, of one method or of all, or the path of a file: what Prefect's form shows and checks."""
    without_file = [] if method == "rmt" else [DEFAULTS]
    by_name = {"title": "Name", "type": "string", "enum": [*names(method), *without_file]}
    by_path = {"title": "File", "type": "string", "pattern": r"\.ya?ml$"}
    about = "Name of a recipe in deployments/recipes, or the path of a YAML file that the worker can read."
    return WithJsonSchema({"anyOf": [by_name, by_path], "description": about})


def overrides_form(*kinds: type[AnyRecipe]) -> WithJsonSchema:
    """A JSON object of dotted settings of recipes, each with a value that it takes."""
    about = 'Dotted settings merged onto the recipe, e.g. {"rl.steps": 8, "evaluate.samples": 16}.'
    return WithJsonSchema({**settings_schema(kinds, frozenset({"method", "name"})), "description": about})


def arms_form(about: str, *methods: str) -> WithJsonSchema:
    """A list of arms to choose from: those of the recipes that ship, or others that a recipe of the user's own has."""
    shipped = [load(AnyRecipe, name) for method in methods for name in names(method)]
    known = {"type": "string", "enum": sorted({arm for recipe in shipped for arm in recipe.arms})}
    options = {"Names": known, "Of a recipe of your own": {"type": "string", "minLength": 1}}
    lists = [{"title": title, "type": "array", "items": items} for title, items in options.items()]
    return WithJsonSchema({"anyOf": lists, "description": about})


def choices_form(about: str, known: Iterable[str]) -> WithJsonSchema:
    """A list of names to choose from."""
    return WithJsonSchema({"type": "array", "items": {"type": "string", "enum": list(known)}, "description": about})


def stages_form(stages: Iterable[str]) -> WithJsonSchema:
    """A list of stages to choose from."""
    return choices_form("Stages to build again; `all` for every one.", [*stages, "all"])


Recipe = Annotated[str, recipe_form()]

Overrides = Annotated[dict[str, JsonValue], overrides_form(*METHODS.values())]

PolyaName = Annotated[str, recipe_form("polya")]

PolyaOverrides = Annotated[dict[str, JsonValue], overrides_form(METHODS["polya"])]

RmtName = Annotated[str, recipe_form("rmt")]

RmtOverrides = Annotated[dict[str, JsonValue], overrides_form(METHODS["rmt"])]

PolyaArms = Annotated[list[str], arms_form("Arms of the recipe; empty: all of them.", "polya")]

RmtArms = Annotated[list[str], arms_form("Arms of the recipe; empty: its usual ones.", "rmt")]

Arms = Annotated[list[str], arms_form("Arms of the recipe; empty: all of them.", *METHODS)]

QuestionSource = Annotated[
    str,
    About("Seed questions: tiny, hub (the preset's home), org/name, a file or s3://...; empty keeps the recipe's."),
]

Preset = Annotated[
    Literal["", *preset_names()],
    About("Schema of the seed questions; empty keeps the recipe's."),
]

Benchmarks = Annotated[
    list[str], choices_form("What models are measured on; empty keeps the recipe's.", benchmark_names())
]

Artifact = Annotated[
    str, About("An artifact as kind/fingerprint; empty: whatever the recipe leads to, made if need be.")
]

Label = Annotated[str, About("What people call the model that this makes or measures; names the run.")]

DataLabel = Annotated[str, About("What people call these data, such as the arm that they are for; names the run.")]

Dispatch = Annotated[
    Literal["", "inline", "deployments"],
    About("Where stages run: in this run, or each as a run of its own deployment; empty keeps the recipe's."),
]

Force = Annotated[bool, About("Build this stage again even if its artifact is in the store.")]
