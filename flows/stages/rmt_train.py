"""Reinforcement mid-training of a model along a schedule."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, RmtName, RmtOverrides
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.stages.schedule import schedule as schedule_flow
from tasks.recipe.loading import load
from tasks.recipe.rmt import RmtRecipe
from tasks.rmt.task import train
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="rmt_train", flow_run_name="rmt_train: {label}", **FLOW_OPTIONS)
def rmt_train(
    recipe: RmtName = "tiny-cpu-rmt",
    schedule: Artifact = "",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: RmtOverrides | None = None,
) -> ArtifactRef:
    """RL on next tokens with the joint next-token loss; resumes from its last checkpoint."""
    settings = load(RmtRecipe, recipe, overrides)
    with pipeline("rmt_train", {"recipe": recipe}):
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        rows = (
            reference(schedule)
            if schedule
            else call(schedule_flow, recipe=recipe, model=str(policy), label=label, overrides=overrides)
        )
        return train(settings.rmt_train, settings.runtime, schedule=rows, model=policy, force=force, label=label)
