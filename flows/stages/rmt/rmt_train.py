"""Reinforcement mid-training of a model along a schedule."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, RmtName, RmtOverrides
from flows.pipeline.run import FLOW_OPTIONS, stage_run
from flows.stages.rmt.schedule import schedule as schedule_flow
from flows.stages.rmt.think_tags import starting_model
from tasks.recipe.rmt import RmtRecipe
from tasks.rmt.task import train
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
    with stage_run("rmt_train", recipe, overrides, RmtRecipe) as run:
        policy = starting_model(run, model)
        rows = run.parent(schedule, schedule_flow, model=policy, label=label)
        return train(run.settings.rmt_train, run.runtime, schedule=rows, model=policy, force=force, label=label)
