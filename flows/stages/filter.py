"""Keep the solutions that are right, whole and faithful to their heuristic."""

from prefect import flow

from flows.pipeline.forms import Artifact, DataLabel, Force, PolyaName, PolyaOverrides
from flows.pipeline.run import FLOW_OPTIONS, call, pipeline, reference
from flows.stages.generate import generate
from flows.stages.questions import questions as questions_flow
from tasks.filter.task import filter_solutions
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="filter", flow_run_name="filter: {label}", **FLOW_OPTIONS)
def filter(
    recipe: PolyaName = "tiny-cpu",
    samples: Artifact = "",
    questions: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "samples",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """One verdict per sample; the best correct one per (question, heuristic) is kept."""
    settings = load(PolyaRecipe, recipe, overrides)
    with pipeline("filter", {"recipe": recipe}):
        asked = reference(questions) if questions else call(questions_flow, recipe=recipe, overrides=overrides)
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        given = {"recipe": recipe, "questions": str(asked), "model": str(policy), "label": label}
        written = reference(samples) if samples else call(generate, **given, overrides=overrides)
        parents = {"samples": written, "questions": asked, "model": policy}
        return filter_solutions(settings.filter, settings.runtime, force=force, label=label, **parents)
