"""Measure how well a model predicts next tokens of held-out documents."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, RmtName, RmtOverrides
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.pipeline.shards import fill_pool
from flows.stages.entropy import entropy as entropy_flow
from flows.stages.texts import texts as texts_flow
from tasks.predict.task import PREDICT, wanted_samples
from tasks.predict.task import predict as measure
from tasks.recipe.loading import load
from tasks.recipe.rmt import RmtRecipe
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="predict", flow_run_name="predict: {label}", **FLOW_OPTIONS)
def predict(
    recipe: RmtName = "tiny-cpu-rmt",
    entropy: Artifact = "",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: RmtOverrides | None = None,
) -> ArtifactRef:
    """Next-token accuracy by tier, with and without reasoning; `model` empty measures the recipe's base model.

    Prompts ask for the budget that the recipe's schedule ends with, or name none where it has none.
    """
    settings = load(RmtRecipe, recipe, overrides)
    with pipeline("predict", {"recipe": recipe}):
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        if entropy:
            measured = reference(entropy)
        else:
            documents = call(texts_flow, recipe=recipe, which="evaluation_texts", overrides=overrides)
            measured = call(entropy_flow, recipe=recipe, texts=str(documents), overrides=overrides)
        config, parents = settings.prediction_at_end(), {"entropy": measured, "model": policy}
        fill_pool(PREDICT, wanted_samples, config, settings.runtime, parents, force=force)
        return measure(config, settings.runtime, force=force, label=label, **parents)
