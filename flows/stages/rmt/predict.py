"""Measure how well a model predicts next tokens of held-out documents."""

from flows.pipeline.forms import Artifact, Force, Label, RmtName, RmtOverrides
from flows.pipeline.run import flow, stage_run
from flows.pipeline.shards import fill_pool
from flows.stages.rmt.entropy import entropy as entropy_flow
from flows.stages.rmt.texts import texts as texts_flow
from flows.stages.rmt.think_tags import starting_model
from tasks.predict.task import PREDICT, wanted_samples
from tasks.predict.task import predict as measure
from tasks.recipe.rmt import RmtRecipe
from tasks.spine.store.ref import ArtifactRef


@flow(name="predict", flow_run_name="predict: {label}")
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
        if not entropy and run.settings.evaluation_texts:
            documents = run.parent("", texts_flow, which="evaluation_texts")
            entropy = str(run.parent("", entropy_flow, texts=documents))
        config = run.settings.prediction_at_end()
        parents = {"entropy": run.parent(entropy, entropy_flow), "model": starting_model(run, model)}
        fill_pool(PREDICT, wanted_samples, config, run.runtime, parents, force=force, label=label)
        return measure(config, run.runtime, **parents, force=force, label=label)
