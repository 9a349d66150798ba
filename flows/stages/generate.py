"""Let the model solve every seed question under every heuristic."""

from flows.pipeline.forms import Artifact, DataLabel, Force, PolyaName, PolyaOverrides
from flows.pipeline.run import flow, stage_run
from flows.pipeline.shards import fill_pool
from flows.stages.decontaminate import decontaminate
from flows.stages.propose import propose, writer
from tasks.generate.task import GENERATE, generate_samples, wanted_samples
from tasks.recipe.polya import PolyaRecipe
from tasks.spine.store.ref import ArtifactRef


@flow(name="generate", flow_run_name="generate: {label}")
def generate(
    recipe: PolyaName = "tiny-cpu",
    questions: Artifact = "",
    model: Artifact = "",
    proposals: Artifact = "",
    label: DataLabel = "samples",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """Several solutions per (question, heuristic); what the sample pool already holds is not generated again."""
    with stage_run("generate", recipe, overrides, PolyaRecipe) as run:
        config = run.settings.generate
        parents = {"questions": run.parent(questions, decontaminate), "model": writer(run, model)}
        if config.proposals.kind != "none":
            parents["proposals"] = run.parent(proposals, propose, **parents)
        if not config.solutions:
            fill_pool(GENERATE, wanted_samples, config, run.runtime, parents, force=force, label=label)
        return generate_samples(config, run.runtime, **parents, force=force, label=label)
