"""A model between a mid-trained one and its base, to start RL from."""

from flows.pipeline.forms import Artifact, Force, Label, PolyaName, PolyaOverrides
from flows.pipeline.run import flow, stage_run
from flows.stages.midtrain import midtrain
from tasks.interpolate.task import write_between
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.store.ref import ArtifactRef


@flow(name="interpolate", flow_run_name="interpolate: {label}")
def interpolate(
    recipe: PolyaName = "tiny-cpu",
    base: Artifact = "",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """(1 - alpha) * base + alpha * mid-trained for every weight; nothing is trained."""
    with stage_run("interpolate", recipe, overrides, PolyaRecipe) as run:
        start = run.model(base)
        trained = run.parent(model, midtrain, model=start)
        return write_between(run.settings.interpolate, run.runtime, base=start, model=trained, force=force, label=label)
