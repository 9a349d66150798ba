"""Load a question set: the seed questions, those of RL, or a benchmark's."""

from typing import Annotated

from prefect import flow

from flows.pipeline.forms import About, Force, Overrides, Recipe
from flows.pipeline.run import FLOW_OPTIONS, pipeline
from tasks.questions.task import load_questions
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import load
from tasks.recipe.merging import RecipeError
from tasks.spine.store.ref import ArtifactRef

Which = Annotated[str, About("`questions`, `rl_questions`, or the name of a benchmark.")]


@flow(name="questions", flow_run_name="questions: {which}", **FLOW_OPTIONS)
def questions(
    recipe: Recipe = "tiny-cpu", which: Which = "questions", force: Force = False, overrides: Overrides | None = None
) -> ArtifactRef:
    """Read a question set, give every question a stable id, list what is rejected."""
    settings = load(AnyRecipe, recipe, overrides)
    if which in ("questions", "rl_questions"):
        if which not in type(settings).model_fields:
            raise RecipeError(f"recipe {recipe!r} has no section {which!r}; only polya recipes have seed questions")
        config = getattr(settings, which)
    else:
        config = settings.evaluate.questions(which)
    with pipeline("questions", {"recipe": recipe}):
        return load_questions(config, settings.runtime, force=force, label=which)
