"""Write the mid-training dataset as Parquet."""

from prefect import flow

from flows.pipeline.forms import Artifact, DataLabel, Force, PolyaName, PolyaOverrides
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.stages.filter import filter as filter_flow
from tasks.dataset.task import materialize_solutions
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="dataset", flow_run_name="dataset: {label}", **FLOW_OPTIONS)
def dataset(
    recipe: PolyaName = "tiny-cpu",
    filtered: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "data",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """n nested variants per question from the filtered samples, with a dataset card."""
    settings = load(PolyaRecipe, recipe, overrides)
    with pipeline("dataset", {"recipe": recipe}):
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        kept = reference(filtered) if filtered else call(filter_flow, recipe=recipe, label=label, overrides=overrides)
        sources = {"kept": kept, "model": policy}
        return materialize_solutions(settings.dataset, settings.runtime, force=force, label=label, **sources)
