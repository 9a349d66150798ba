"""Values that the shell completes: recipes, stages, arms, devices, settings, artifacts of the store.

Imports wait until a value is asked for. What goes wrong completes to nothing: a message would stand in the line.
"""

from collections.abc import Callable, Iterable

import typer

Completion = Callable[[typer.Context, str], list[str]]


def completed(values: Callable[[typer.Context], Iterable[str]]) -> Completion:
    """Offer of the values those that begin with what is typed; with commas, of the part behind the last one."""

    # Without `wraps`: typer reads the parameters, of which the values have one less.
    def complete(ctx: typer.Context, incomplete: str) -> list[str]:
        before, comma, begin = incomplete.rpartition(",")
        try:
            return [f"{before}{comma}{value}" for value in values(ctx) if value.startswith(begin)]
        except Exception:  # whatever it is, the line that is typed must stay as it is
            return []

    return complete


def _recipe(ctx: typer.Context) -> str:
    return ctx.params.get("recipe") or "tiny-cpu"


@completed
def recipes(ctx: typer.Context) -> Iterable[str]:
    """Recipes that ship, of the pipeline's method."""
    from tasks.recipe.loading import DEFAULTS, METHODS, names

    method = next((name for name in METHODS if name == ctx.info_name), "")
    return [*names(method), *([DEFAULTS] if method != "rmt" else [])]


@completed
def stages(ctx: typer.Context) -> Iterable[str]:
    """Stages of the recipe's method, and `all`."""
    from tasks.recipe.base import Recipe
    from tasks.recipe.loading import load

    return [*load(Recipe, _recipe(ctx)).stages(), "all"]


@completed
def arms(ctx: typer.Context) -> Iterable[str]:
    """Arms of the recipe."""
    from tasks.recipe.base import Recipe
    from tasks.recipe.loading import load

    return list(load(Recipe, _recipe(ctx)).arms)


@completed
def devices(ctx: typer.Context) -> Iterable[str]:
    """Devices that costs are known for."""
    from tasks.shared.costs.devices import devices as known

    return list(known())


@completed
def settings(ctx: typer.Context) -> Iterable[str]:
    """Sections and settings."""
    from tasks.recipe.listing import sections
    from tasks.recipe.listing import settings as listed

    return [*sections(), *(item.name for item in listed())]


@completed
def overrides(ctx: typer.Context) -> Iterable[str]:
    """Settings, each with the sign that its value follows."""
    from tasks.recipe.listing import settings as listed

    return [f"{item.name}=" for item in listed()]


@completed
def kinds(ctx: typer.Context) -> Iterable[str]:
    """Kinds of artifacts that the store has."""
    return dict.fromkeys(name.partition("/")[0] for name in _artifacts())


@completed
def artifacts(ctx: typer.Context) -> Iterable[str]:
    """Artifacts of the store."""
    return _artifacts()


@completed
def models(ctx: typer.Context) -> Iterable[str]:
    """Models of the store."""
    return _artifacts("model")


def _artifacts(kind: str | None = None) -> list[str]:
    from tasks.spine.stage.context import run_context

    return [str(manifest.ref) for manifest in run_context().store.all(kind)]
