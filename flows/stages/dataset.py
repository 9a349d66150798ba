"""Write the mid-training dataset as Parquet."""

from flows.pipeline.forms import Artifact, DataLabel, Force, PolyaName, PolyaOverrides
from flows.pipeline.run import flow, stage_run
from flows.stages.filter import filter as filter_flow
from tasks.dataset.task import write_dataset
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.store.ref import ArtifactRef


@flow(name="dataset", flow_run_name="dataset: {label}")
def dataset(
    recipe: PolyaName = "tiny-cpu",
    filtered: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "data",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """n nested variants per question from the filtered samples, with a dataset card."""
    with stage_run("dataset", recipe, overrides, PolyaRecipe) as run:
        kept = run.parent(filtered, filter_flow, label=label)
        return write_dataset(
            run.settings.dataset, run.runtime, kept=kept, model=run.model(model), force=force, label=label
        )
