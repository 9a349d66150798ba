"""Keep the solutions that are right, whole and faithful to their heuristic."""

from flows.pipeline.forms import Artifact, DataLabel, Force, PolyaName, PolyaOverrides
from flows.pipeline.run import flow, stage_run
from flows.stages.decontaminate import decontaminate
from flows.stages.generate import generate
from flows.stages.propose import writer
from tasks.filter.task import filter_solutions
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.store.ref import ArtifactRef


@flow(name="filter", flow_run_name="filter: {label}")
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
    with stage_run("filter", recipe, overrides, PolyaRecipe) as run:
        parents = {"questions": run.parent(questions, decontaminate), "model": writer(run, model)}
        parents["samples"] = run.parent(samples, generate, **parents, label=label)
        return filter_solutions(run.settings.filter, run.runtime, **parents, force=force, label=label)
