"""Measure the next-token entropy at every position of the texts."""

from flows.pipeline.forms import Artifact, DataLabel, Force, RmtName, RmtOverrides
from flows.pipeline.run import flow, stage_run
from flows.stages.decontaminate import decontaminate
from flows.stages.rmt.think_tags import starting_model
from tasks.entropy.task import compute_entropy
from tasks.recipe.rmt import RmtRecipe
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="entropy", flow_run_name="entropy: {label}")
def entropy(
    recipe: RmtName = "tiny-cpu-rmt",
    texts: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "texts",
    force: Force = False,
    overrides: RmtOverrides | None = None,
) -> ArtifactRef:
    """Entropy in nats under `model` (empty: the recipe's proxy, or its base model)."""
    with stage_run("entropy", recipe, overrides, RmtRecipe) as run:
        proxy = run.settings.entropy_model
        judge = import_model(proxy, run.runtime) if proxy and not model else starting_model(run, model)
        documents = run.parent(texts, decontaminate, which="texts")
        return compute_entropy(
            run.settings.entropy, run.runtime, texts=documents, model=judge, force=force, label=label
        )
