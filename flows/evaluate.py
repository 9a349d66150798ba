"""Measure a model on benchmarks."""

from prefect import flow

from flows.base import FLOW_OPTIONS, Artifact, Force, Label, Overrides, Recipe, call, pipeline, reference
from flows.questions import questions as questions_flow
from tasks.artifacts.ref import ArtifactRef
from tasks.evaluation.task import measure
from tasks.models.task import import_model
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import load


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
            for name in settings.evaluation.benchmarks
        }
        return measure(settings.evaluation, settings.runtime, model=policy, force=force, label=label, **asked)
