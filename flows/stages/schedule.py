"""Write the whole course of reinforcement mid-training ahead."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, RmtName, RmtOverrides
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.stages.entropy import entropy as entropy_flow
from tasks.recipe.loading import load
from tasks.recipe.rmt import RmtRecipe
from tasks.schedule.task import write_schedule
from tasks.shared.models.task import import_model
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
    settings = load(RmtRecipe, recipe, overrides)
    with pipeline("schedule", {"recipe": recipe}):
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        measured = reference(entropy) if entropy else call(entropy_flow, recipe=recipe, overrides=overrides)
        return write_schedule(
            settings.schedule, settings.runtime, entropy=measured, model=policy, force=force, label=label
        )
