"""Measure how well a model predicts next tokens of held-out documents."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, RmtName, RmtOverrides
from flows.pipeline.run import FLOW_OPTIONS, stage_run
from flows.stages.entropy import entropy as entropy_flow
from flows.stages.texts import texts as texts_flow
from tasks.predict.task import predict as measure
from tasks.recipe.rmt import RmtRecipe
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
    with stage_run("predict", recipe, overrides, RmtRecipe) as run:
        if not entropy:
            documents = run.parent("", texts_flow, which="evaluation_texts")
            entropy = str(run.parent("", entropy_flow, texts=str(documents)))
        config, measured = run.settings.prediction_at_end(), run.parent(entropy, entropy_flow)
        return measure(config, run.runtime, entropy=measured, model=run.model(model), force=force, label=label)
