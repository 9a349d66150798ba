"""Write the prompts of RL as Parquet."""

from prefect import flow

from flows.pipeline.forms import Artifact, DataLabel, Force, Overrides, Recipe
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.stages.questions import questions as questions_flow
from tasks.dataset.task import materialize_prompts
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import load
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="rl_prompts", flow_run_name="rl_prompts: {label}", **FLOW_OPTIONS)
def rl_prompts(
    recipe: Recipe = "tiny-cpu",
    questions: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "RL questions",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """The RL questions, each under the plain prompt; chat prompts are rendered with the model's own template."""
    settings = load(AnyRecipe, recipe, overrides)
    with pipeline("rl_prompts", {"recipe": recipe}):
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        asked = (
            reference(questions)
            if questions
            else call(questions_flow, recipe=recipe, which="rl_questions", overrides=overrides)
        )
        # Plain prompts are the same for every model, so that a new model finds them made.
        plain = settings.rl_prompts.prompt.style == "plain"
        sources = {"questions": asked} if plain else {"questions": asked, "model": policy}
        return materialize_prompts(settings.rl_prompts, settings.runtime, force=force, label=label, **sources)
