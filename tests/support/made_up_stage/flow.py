"""Count the rows of a mid-training dataset."""

from tasks.tally.task import count

from flows.pipeline.forms import Artifact, Force, PolyaName, PolyaOverrides
from flows.pipeline.run import flow, stage_run
from flows.stages.dataset import dataset as dataset_flow
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.store.ref import ArtifactRef


@flow(name="tally", flow_run_name="tally")
def tally(
    recipe: PolyaName = "tiny-cpu",
    dataset: Artifact = "",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """One number: how many rows there are."""
    with stage_run("tally", recipe, overrides, PolyaRecipe) as run:
        return count(run.settings.tally, run.runtime, dataset=run.parent(dataset, dataset_flow), force=force)
