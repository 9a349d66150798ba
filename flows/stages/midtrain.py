"""Fine-tune the base model on its own diverse, correct solutions."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, PolyaName, PolyaOverrides
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.stages.dataset import dataset as dataset_flow
from tasks.midtrain.task import train
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="midtrain", flow_run_name="midtrain: {label}", **FLOW_OPTIONS)
def midtrain(
    recipe: PolyaName = "tiny-cpu",
    dataset: Artifact = "",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """SFT on question -> solution, loss on the solution; resumes from its last checkpoint."""
    settings = load(PolyaRecipe, recipe, overrides)
    with pipeline("midtrain", {"recipe": recipe}):
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        rows = (
            reference(dataset) if dataset else call(dataset_flow, recipe=recipe, model=str(policy), overrides=overrides)
        )
        return train(settings.midtrain, settings.runtime, dataset=rows, model=policy, force=force, label=label)
