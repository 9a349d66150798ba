"""Measure a model on benchmarks."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, Overrides, Recipe
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.pipeline.shards import fill_pool
from flows.stages.questions import questions as questions_flow
from tasks.evaluate.task import EVALUATE, measure, wanted_samples
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import load
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="evaluate", flow_run_name="evaluate: {label}", **FLOW_OPTIONS)
def evaluate(
    recipe: Recipe = "tiny-cpu",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """Greedy accuracy and unbiased pass@k with intervals; `model` empty measures the recipe's base model."""
    settings = load(AnyRecipe, recipe, overrides)
    with pipeline("evaluate", {"recipe": recipe}):
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        asked = {
            f"questions.{name}": call(questions_flow, recipe=recipe, which=name, overrides=overrides)
            for name in settings.evaluate.benchmarks
        }
        config, parents = settings.evaluate, {"model": policy, **asked}
        fill_pool(EVALUATE, wanted_samples, config, settings.runtime, parents, force=force)
        return measure(config, settings.runtime, force=force, label=label, **parents)
