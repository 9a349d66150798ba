"""Fine-tune the base model on its own diverse, correct solutions."""

from flows.pipeline.forms import Artifact, Force, Label, PolyaName, PolyaOverrides
from flows.pipeline.run import flow, stage_run
from flows.stages.dataset import dataset as dataset_flow
from tasks.midtrain.task import train
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.store.ref import ArtifactRef


@flow(name="midtrain", flow_run_name="midtrain: {label}")
def midtrain(
    recipe: PolyaName = "tiny-cpu",
    dataset: Artifact = "",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """SFT on question -> solution, loss on the solution; resumes from its last checkpoint."""
    with stage_run("midtrain", recipe, overrides, PolyaRecipe) as run:
        policy = run.model(model)
        rows = run.parent(dataset, dataset_flow, model=policy)
        return train(run.settings.midtrain, run.runtime, dataset=rows, model=policy, force=force, label=label)
