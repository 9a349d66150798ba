"""What the form in Prefect's UI shows and checks: one annotated type for each parameter of the flows."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any, Literal

from pydantic import GetJsonSchemaHandler, JsonValue
from pydantic_core import CoreSchema

from flows.pipeline.settings_schema import NO_PASSWORD, Schema, settings_schema
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


_wanted = ContextVar("_wanted", default=True)


@contextmanager
def without_forms() -> Iterator[None]:
    """Within, schemas of parameters say nothing of their forms.

    Prefect makes a schema of every flow that is declared, and makes it again for a deployment, where alone it is read.
    All forms take as long as the import of all that a flow needs.
    """
    token = _wanted.set(False)
    try:
        yield
    finally:
        _wanted.reset(token)


class Form:
    """JSON schema of a parameter, in place of that of its type; made once, when it is first asked for."""

    def __init__(self, make: Callable[[], Schema]) -> None:
        self.schema = cache(make)

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> Schema:
        return dict(self.schema()) if _wanted.get() else {}


def recipe_form(method: str = "") -> Form:
    """A drop-down of recipes, of one method or of all, or the path of a file: what Prefect's form shows and checks."""

    def make() -> Schema:
        without_file = [] if method == "rmt" else [DEFAULTS]
        by_name = {"title": "Name", "type": "string", "enum": [*names(method), *without_file]}
        by_path = {"title": "File", "type": "string", "pattern": r"^(?!.*://).*\.ya?ml$"}
        about = "Name of a recipe in deployments/recipes, or the path of a YAML file that the worker can read."
        return {"anyOf": [by_name, by_path], "description": about}

    return Form(make)


def overrides_form(*kinds: type[AnyRecipe]) -> Form:
    """A JSON object of dotted settings of recipes, each with a value that it takes."""
    about = 'Dotted settings merged onto the recipe, e.g. {"rl.steps": 8, "evaluate.samples": 16}.'
    return Form(lambda: {**settings_schema(kinds, frozenset({"method", "name"})), "description": about})


def arms_form(about: str, *methods: str) -> Form:
    """A list of arms to choose from: those of the recipes that ship, or others that a recipe of the user's own has."""

    def make() -> Schema:
        shipped = [load(AnyRecipe, name) for method in methods for name in names(method)]
        known = {"type": "string", "enum": sorted({arm for recipe in shipped for arm in recipe.arms})}
        options = {"Names": known, "Of a recipe of your own": {"type": "string", "minLength": 1}}
        lists = [{"title": title, "type": "array", "items": items} for title, items in options.items()]
        return {"anyOf": lists, "description": about}

    return Form(make)


def choices_form(about: str, known: Callable[[], Iterable[str]]) -> Form:
    """A list of names to choose from."""
    return Form(lambda: {"type": "array", "items": {"type": "string", "enum": list(known())}, "description": about})


def stages_form(*kinds: type[AnyRecipe]) -> Form:
    """A list of stages to choose from: those of some methods."""
    about = "Stages to build again; `all` for every one."
    return choices_form(about, lambda: dict.fromkeys([*(name for kind in kinds for name in kind.stages()), "all"]))


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

RLQuestionSource = Annotated[str, About("The same for the questions of RL; empty keeps the recipe's.")]

TextSource = Annotated[str, About("Corpus: tiny, org/name, a file or s3://...; empty keeps the recipe's.")]

Preset = Annotated[
    Literal["", *preset_names()],
    About("Schema of these questions; empty keeps the recipe's."),
]

Benchmarks = Annotated[
    list[str], choices_form("What models are measured on; empty keeps the recipe's.", benchmark_names)
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
