"""Let the model solve every seed question under every heuristic."""

from prefect import flow

from flows.base import FLOW_OPTIONS, Artifact, Force, PolyaName, PolyaOverrides, call, pipeline, reference
from flows.questions import questions as questions_flow
from tasks.artifacts.ref import ArtifactRef
from tasks.generation.task import sample_solutions
from tasks.models.task import import_model
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe


@flow(name="generate", flow_run_name="generate-{recipe}", **FLOW_OPTIONS)
def generate(
    recipe: PolyaName = "tiny-cpu",
    questions: Artifact = "",
    model: Artifact = "",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """Several solutions per (question, heuristic); what the sample pool already holds is not generated again."""
    settings = load(PolyaRecipe, recipe, overrides)
    with pipeline("generate", {"recipe": recipe}):
        asked = reference(questions) if questions else call(questions_flow, recipe=recipe, overrides=overrides)
        policy = reference(model) if model else import_model(settings.model, settings.runtime)
        return sample_solutions(settings.generation, settings.runtime, questions=asked, model=policy, force=force)
