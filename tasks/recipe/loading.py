"""Reading a recipe by its name or path, for the method that it is written for."""

from collections.abc import Mapping
from copy import deepcopy
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import JsonValue

from tasks.recipe.base import Recipe
from tasks.recipe.merging import RecipeError, build, check_keys, closest, refuse_passwords
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe
from tasks.yaml_text import parsed_yaml, read_yaml

RecipeT = TypeVar("RecipeT", bound=Recipe)
RECIPES = Path(__file__).resolve().parents[2] / "deployments" / "recipes"
DEFAULTS = "defaults"
"""A recipe without a file, in which every field has its default; a model's own prompt style and real lengths."""
_parsed = lru_cache(maxsize=16)(parsed_yaml)
"""Cached, because every stage of a pipeline reads its recipe and parsing takes most of that time."""
METHODS: dict[str, type[Recipe]] = {"polya": PolyaRecipe, "rmt": RmtRecipe}


def names(method: str = "") -> list[str]:
    """Recipes that ship with the project: all, or those of one method."""
    stems = sorted(recipe_name(path.name) for path in RECIPES.glob("*.yaml"))
    return [stem for stem in stems if not method or _method(_read(stem)) == method]


def load(kind: type[RecipeT], name: str, overrides: Mapping[str, JsonValue] | None = None) -> RecipeT:
    """A recipe by name or by path of a YAML file, with dotted overrides merged in and validated.

    Args:
        kind: the recipe class that the caller works with; `Recipe` takes one of any method.

    Raises:
        RecipeError: no such recipe, one of another method, a key that does not exist (the closest valid one is named),
            or a bad value.
    """
    try:
        return _load(kind, name, overrides or {})
    except RecursionError:
        raise RecipeError(f"recipe {name!r} or an override is nested too deeply to be read") from None


def _load(kind: type[RecipeT], name: str, overrides: Mapping[str, JsonValue]) -> RecipeT:
    values = _read(name)
    method = _method(values)
    if method not in METHODS:
        raise RecipeError(f"recipe {name!r}: method {method!r}{closest(method, METHODS)}")
    method_kind = METHODS[method]
    if not issubclass(method_kind, kind):
        raise RecipeError(f"recipe {name!r} is one of method {method!r}; run it with `midtrain run {method}`")
    check_keys(values, method_kind, f"{Path(name).name}: ")
    refuse_passwords(values, f"{Path(name).name}: ")
    return build(method_kind, {**values, "name": recipe_name(name)}, overrides, where="--set")


def recipe_name(name: str) -> str:
    """A recipe's own name, of which a dot may be a part, without its folder and the ending of its file."""
    return Path(name).name.removesuffix(".yaml").removesuffix(".yml")


def place_of(name: str) -> Path:
    """File of a recipe that ships, or the path that was given."""
    return Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"


def base_model_of(name: str) -> str:
    """The base model that a recipe names itself; empty for one that leaves it to whoever runs it."""
    model = _read(name).get("model")
    return str(model.get("source", "")) if isinstance(model, dict) else ""


def _method(values: Mapping[str, Any]) -> str:
    return str(values.get("method", PolyaRecipe.model_fields["method"].default))


def _read(name: str) -> dict[str, Any]:
    if name == DEFAULTS:
        return {}
    path = place_of(name)
    if not path.exists():
        known = [recipe_name(path.name) for path in RECIPES.glob("*.yaml")]
        raise RecipeError(f"recipe {name!r}: no file {path}{closest(name, known)}; or give the path of a .yaml file")
    try:
        values = deepcopy(read_yaml(path, _parsed))
    except ValueError as error:
        raise RecipeError(f"recipe {error}") from error
    if values is None:
        raise RecipeError(f"recipe {path} is empty; for the defaults take recipe {DEFAULTS!r}")
    if not isinstance(values, dict):
        raise RecipeError(f"recipe {path} is not a mapping of sections")
    return values
