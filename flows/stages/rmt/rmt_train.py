"""Reinforcement mid-training of a model along a schedule."""

from flows.pipeline.forms import Artifact, Force, Label, RmtName, RmtOverrides
from flows.pipeline.run import flow, stage_run
from flows.stages.decontaminate import decontaminate as decontaminate_flow
from flows.stages.rmt.schedule import schedule as schedule_flow
from flows.stages.rmt.think_tags import starting_model
from tasks.recipe.rmt import RmtRecipe
from tasks.rmt.task import train
from tasks.spine.store.ref import ArtifactRef


@flow(name="rmt_train", flow_run_name="rmt_train: {label}")
def rmt_train(
    recipe: RmtName = "tiny-cpu-rmt",
    schedule: Artifact = "",
    model: Artifact = "",
    chains: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: RmtOverrides | None = None,
) -> ArtifactRef:
    """RL on next tokens with the joint next-token loss; resumes from its last checkpoint.

    With `rmt_train.chains_per_position` the documents of `chains` are learned in the same steps.
    """
    with stage_run("rmt_train", recipe, overrides, RmtRecipe) as run:
        policy = starting_model(run, model)
        rows = run.parent(schedule, schedule_flow, model=policy, label=label)
        beside = {}
        if run.settings.rmt_train.chains_per_position:
            beside["chains"] = run.parent(chains, decontaminate_flow, which="chains")
        parents = {"schedule": rows, "model": policy, **beside}
        return train(run.settings.rmt_train, run.runtime, **parents, force=force, label=label)
