"""Whether a run can be made of a recipe, and which recipe fits a model.

The settings of the small world are none for any other model.
"""

import logging
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from tasks.errors import Permanent
from tasks.recipe.base import Recipe
from tasks.recipe.loading import DEFAULTS, METHODS, base_model_of, load
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.models.resolve import SHIPPED
from tasks.spine.stage.context import run_context
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import ArtifactMissing

log = logging.getLogger(__name__)

SMALL_WORLD = "tiny-cpu"


def check_parameters(name: str, parameters: Mapping[str, Any]) -> None:
    """Refuse what no run can be made of, before a server starts for it and before Prefect is imported.

    Raises:
        RecipeError: a recipe, setting, stage or arm that there is none of, or a value that does not fit.
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


@cache
def warn_if_unfit(recipe: str, model: ArtifactRef) -> None:
    """Say once that a recipe of the small world is about to be used on another model.

    A stranger's model cut at 96 tokens, without its chat template, would look bad and give no other sign.
    """
    if base_model_of(recipe) in SHIPPED and not _is_of_small_world(run_context().store.local(model)):
        log.warning(
            "recipe %r has the prompts and token limits of the embedded models, and %s is none of these: expect "
            "completions that are cut or cannot be read; take another recipe, or a copy of this one with "
            "prompt.style, max_new_tokens and model.source of yours",
            recipe,
            model,
        )


def _is_of_small_world(folder: Path) -> bool:
    """Whether a model reads text as the embedded ones do: it is one of them, or was trained from one."""
    try:
        return tokenizer_digest(folder) in {tokenizer_digest(path) for path in SHIPPED.values()}
    except Permanent:
        return False
