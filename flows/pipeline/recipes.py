"""Which recipe fits a model: the settings of the small world are none for any other."""

import logging
from functools import cache
from pathlib import Path

from tasks.errors import Permanent
from tasks.recipe.loading import DEFAULTS, base_model_of
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.models.resolve import SHIPPED
from tasks.spine.stage.context import run_context
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import ArtifactMissing

log = logging.getLogger(__name__)

SMALL_WORLD = "tiny-cpu"


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
