"""Write the whole course of reinforcement mid-training ahead."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, RmtName, RmtOverrides
from flows.pipeline.run import FLOW_OPTIONS, stage_run
from flows.stages.rmt.entropy import entropy as entropy_flow
from flows.stages.rmt.think_tags import starting_model
from tasks.recipe.rmt import RmtRecipe
from tasks.schedule.task import write_schedule
from tasks.spine.store.ref import ArtifactRef


@flow(name="schedule", flow_run_name="schedule: {label}", **FLOW_OPTIONS)
def schedule(
    recipe: RmtName = "tiny-cpu-rmt",
    entropy: Artifact = "",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: RmtOverrides | None = None,
) -> ArtifactRef:
    """Step, document, position, tier, budget, prompt and true continuation of everything that will be asked."""
    with stage_run("schedule", recipe, overrides, RmtRecipe) as run:
        measured = run.parent(entropy, entropy_flow)
        return write_schedule(
            run.settings.schedule,
            run.runtime,
            entropy=measured,
            model=starting_model(run, model),
            force=force,
            label=label,
        )
