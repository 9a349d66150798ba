"""Measure the next-token entropy at every position of the texts."""

from prefect import flow

from flows.pipeline.forms import Artifact, DataLabel, Force, RmtName, RmtOverrides
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.stages.texts import texts as texts_flow
from tasks.entropy.task import compute_entropy
from tasks.recipe.loading import load
from tasks.recipe.rmt import RmtRecipe
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="entropy", flow_run_name="entropy: {label}", **FLOW_OPTIONS)
def entropy(
    recipe: RmtName = "tiny-cpu-rmt",
    texts: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "texts",
    force: Force = False,
    overrides: RmtOverrides | None = None,
) -> ArtifactRef:
    """Entropy in nats under `model` (empty: the recipe's proxy, or its base model)."""
    settings = load(RmtRecipe, recipe, overrides)
    with pipeline("entropy", {"recipe": recipe}):
        measured_by = settings.entropy_model or settings.model
        judge = reference(model) if model else import_model(measured_by, settings.runtime)
        documents = reference(texts) if texts else call(texts_flow, recipe=recipe, overrides=overrides)
        return compute_entropy(
            settings.entropy, settings.runtime, texts=documents, model=judge, force=force, label=label
        )
