"""Whether a run can be made of a recipe, and which recipe fits a model.

The settings of the small world are none for any other model.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tasks.errors import Permanent
from tasks.recipe.base import Recipe
from tasks.recipe.loading import DEFAULTS, METHODS, base_model_of, load, names
from tasks.recipe.merging import RecipeError
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.models.resolve import SHIPPED
from tasks.spine.stage.context import run_context
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import ArtifactMissing

SMALL_WORLD = "tiny-cpu"


def check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    """Refuse what no run can be made of, before a server starts for it and before Prefect is imported.

    Raises:
        RecipeError: a recipe, setting, stage or arm that there is none of, a value that does not fit, or a recipe that
            does not fit the model.
    """
    if "recipe" not in parameters:
        # The flow's own default, which its code reads.
        return
    given = dict(parameters.get("overrides", {}))
    if parameters.get("base_model"):
        given["model.source"] = parameters["base_model"]
    seeds = [seed for seed in (parameters.get("seed"), *parameters.get("seeds", ())) if seed is not None]
    if seeds:
        # The others fit where the largest does: none is negative.
        given["seed"] = max(seeds)
    settings = load(METHODS.get(name, Recipe), parameters["recipe"], given)
    force = parameters.get("force", ())
    settings.forced(force if isinstance(force, list) else ())
    settings.chosen(parameters.get("arms", ()))
    if _is_elsewhere(settings.model.source):
        stages = (name,) if name in settings.stages() else settings.stages()
        refuse_small_world(settings, parameters["recipe"], given, stages, settings.model.source)


def fitting_recipe(model: str) -> str:
    """The recipe to measure a model with where none was given: a folder, an artifact, or an address elsewhere."""
    if model in SHIPPED:
        return SMALL_WORLD
    store = run_context().store
    try:
        folder = store.local(store.ref(model)) if model.startswith("model/") else Path(model).expanduser()
    except ArtifactMissing:
        return DEFAULTS
    return SMALL_WORLD if _is_of_small_world(folder) else DEFAULTS


def check_fit(
    settings: Recipe, recipe: str, overrides: Mapping[str, Any], stages: Iterable[str], model: ArtifactRef
) -> None:
    """Refuse, as `refuse_small_world` does, a recipe of the small world for a model that turns out to be another."""
    if not _is_of_small_world(run_context().store.local(model)):
        refuse_small_world(settings, recipe, overrides, stages, str(model))


def refuse_small_world(
    settings: Recipe, recipe: str, overrides: Mapping[str, Any], stages: Iterable[str], model: str
) -> None:
    """Refuse a recipe of the small world on a model that is none of it, unless the user has set what would not fit.

    A stranger's model cut at 96 tokens, without its chat template, would look bad and give no other sign.

    Raises:
        RecipeError: the recipe's prompt style or a token limit would be used; the message names what to set.
    """
    if base_model_of(recipe) not in SHIPPED:
        return
    unfit = [key for key in _model_settings(settings, stages) if not _is_set(overrides, key)]
    if unfit:
        raise RecipeError(
            f"recipe {recipe!r} has the prompts and token limits of the embedded models, and {model} is none of these: "
            "its completions would be cut or not be read. Take another recipe, such as "
            f"{_for_real_models(settings)!r}, which has a model's own prompt style and real lengths, or set here what "
            f"fits this model: {', '.join(unfit)}"
        )


def _for_real_models(settings: Recipe) -> str:
    """A recipe of the same method that is for other models than the embedded ones."""
    if settings.method == "polya":
        return DEFAULTS
    return next(name for name in names(settings.method) if base_model_of(name) not in SHIPPED)


def _model_settings(settings: Recipe, stages: Iterable[str]) -> list[str]:
    """Keys of the prompt style and the token limits of these stages, which have to fit the model."""
    keys: dict[str, None] = {}
    for stage in stages:
        section = getattr(settings, stage, None)
        fields = type(section).model_fields if section is not None else {}
        keys |= {f"{prompt}.style": None for prompt in ("prompt", "prediction_prompt") if prompt in fields}
        keys |= {f"{stage}.sampling.max_new_tokens": None} if "sampling" in fields else {}
        keys |= {f"{stage}.max_completion_tokens": None} if "max_completion_tokens" in fields else {}
    return list(keys)


def _is_set(overrides: Mapping[str, Any], key: str) -> bool:
    """Whether dotted overrides set a key, by itself or inside a section."""
    inside = {begin: value for begin, value in overrides.items() if isinstance(value, Mapping)}
    return key in overrides or any(
        key.startswith(f"{begin}.") and _is_set(value, key.removeprefix(f"{begin}.")) for begin, value in inside.items()
    )


def _is_elsewhere(source: str) -> bool:
    """Whether a model can be told to be none of the small world before it is here: a folder that is another, or one of
    a hub. What an address or an artifact is turns out when a stage asks for it.
    """
    folder = Path(source).expanduser()
    of_a_hub = source.count("/") == 1 and not source.startswith((".", "/", "~", "model/"))
    return source not in SHIPPED and (not _is_of_small_world(folder) if folder.is_dir() else of_a_hub)


def _is_of_small_world(folder: Path) -> bool:
    """Whether a model reads text as the embedded ones do: it is one of them, or was trained from one."""
    try:
        return tokenizer_digest(folder) in {tokenizer_digest(path) for path in SHIPPED.values()}
    except Permanent:
        return False
