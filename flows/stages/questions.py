"""Load a question set: the seed questions, those of RL, or a benchmark's."""

from typing import Annotated

from flows.pipeline.forms import About, Force, Overrides, Recipe
from flows.pipeline.run import flow, stage_run
from tasks.questions.config import QuestionsConfig
from tasks.questions.task import load_questions
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.merging import RecipeError
from tasks.spine.store.ref import ArtifactRef

Which = Annotated[str, About("`questions`, `rl_questions`, or the name of a benchmark.")]


@flow(name="questions", flow_run_name="questions: {which}")
def questions(
    recipe: Recipe = "tiny-cpu", which: Which = "questions", force: Force = False, overrides: Overrides | None = None
) -> ArtifactRef:
    """Read a question set, give every question a stable id, list what is rejected."""
    with stage_run("questions", recipe, overrides) as run:
        return load_questions(_wanted(run.settings, which), run.runtime, force=force, label=which)


def _wanted(settings: AnyRecipe, which: str) -> QuestionsConfig:
    """Settings of one of the recipe's question sets."""
    if which not in ("questions", "rl_questions"):
        return settings.evaluate.questions(which)
    if which not in type(settings).model_fields:
        raise RecipeError(f"recipe {settings.name!r} has no section {which!r}; only polya recipes have seed questions")
    return getattr(settings, which)
