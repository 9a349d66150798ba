"""Let the model solve every seed question under every heuristic."""

from prefect import flow

from flows.pipeline.forms import Artifact, DataLabel, Force, PolyaName, PolyaOverrides
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.pipeline.shards import fill_pool
from flows.stages.questions import questions as questions_flow
from tasks.generate.task import GENERATE, assemble, wanted_samples
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="generate", flow_run_name="generate: {label}", **FLOW_OPTIONS)
def generate(
    recipe: PolyaName = "tiny-cpu",
    questions: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "samples",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """Several solutions per (question, heuristic); what the sample pool already holds is not generated again."""
    settings = load(PolyaRecipe, recipe, overrides)
    with pipeline("generate", {"recipe": recipe}):
        asked = reference(questions) if questions else call(questions_flow, recipe=recipe, overrides=overrides)
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        config, parents = settings.generate, {"questions": asked, "model": policy}
        fill_pool(GENERATE, wanted_samples, config, settings.runtime, parents, force=force)
        return assemble(config, settings.runtime, force=force, label=label, **parents)
