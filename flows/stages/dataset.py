"""Write the mid-training dataset, or the prompts of RL, as Parquet."""

from typing import Literal

from prefect import flow

from flows.pipeline.forms import Artifact, DataLabel, Force, Overrides, Recipe
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.stages.filter import filter as filter_flow
from flows.stages.questions import questions as questions_flow
from tasks.dataset.task import materialize_prompts, materialize_solutions
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="materialize", flow_run_name="materialize {which}: {label}", **FLOW_OPTIONS)
def materialize(
    recipe: Recipe = "tiny-cpu",
    which: Literal["solutions", "prompts"] = "solutions",
    filtered: Artifact = "",
    questions: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "data",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """`solutions`: n nested variants per question from the filtered samples. `prompts`: the RL questions."""
    settings = load(AnyRecipe if which == "prompts" else PolyaRecipe, recipe, overrides)
    with pipeline("materialize", {"recipe": recipe}):
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        if which == "prompts":
            asked = (
                reference(questions)
                if questions
                else call(questions_flow, recipe=recipe, which="rl_questions", overrides=overrides)
            )
            # Plain prompts are the same for every model, so that a new model finds them made.
            plain = settings.rl_prompts.prompt.style == "plain"
            sources = {"questions": asked} if plain else {"questions": asked, "model": policy}
            return materialize_prompts(settings.rl_prompts, settings.runtime, force=force, label=label, **sources)
        kept = reference(filtered) if filtered else call(filter_flow, recipe=recipe, label=label, overrides=overrides)
        sources = {"kept": kept, "model": policy}
        return materialize_solutions(settings.dataset, settings.runtime, force=force, label=label, **sources)
