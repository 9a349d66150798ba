"""Train a model with GRPO on a 0/1 correctness reward."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, Overrides, Recipe
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.stages.rl_prompts import rl_prompts
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import load
from tasks.rl.task import train
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="rl", flow_run_name="rl: {label}", **FLOW_OPTIONS)
def rl(
    recipe: Recipe = "tiny-cpu",
    prompts: Artifact = "",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """GRPO from `model` (empty: the recipe's base model); resumes from its last checkpoint."""
    settings = load(AnyRecipe, recipe, overrides)
    with pipeline("rl", {"recipe": recipe}):
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        rows = (
            reference(prompts) if prompts else call(rl_prompts, recipe=recipe, model=str(policy), overrides=overrides)
        )
        return train(settings.rl, settings.runtime, prompts=rows, model=policy, force=force, label=label)
