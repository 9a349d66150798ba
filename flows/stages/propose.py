"""Let the model propose what each question is solved by, in place of heuristics."""

from flows.pipeline.forms import Artifact, DataLabel, Force, PolyaName, PolyaOverrides
from flows.pipeline.run import StageRun, flow, stage_run
from flows.pipeline.shards import fill_pool
from flows.stages.decontaminate import decontaminate
from tasks.propose.task import PROPOSE, propose_prompts, wanted_samples
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="propose", flow_run_name="propose: {label}")
def propose(
    recipe: PolyaName = "tiny-cpu",
    questions: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "proposals",
    force: Force = False,
    overrides: PolyaOverrides | None = None,
) -> ArtifactRef:
    """Approaches that the model lists for each question, or one right solution of it to be reworded."""
    with stage_run("propose", recipe, overrides, PolyaRecipe) as run:
        parents = {"questions": run.parent(questions, decontaminate), "model": writer(run, model)}
        config = run.settings.propose
        if config.proposals.kind != "none":
            fill_pool(PROPOSE, wanted_samples, config, run.runtime, parents, force=force, label=label)
        return propose_prompts(config, run.runtime, **parents, force=force, label=label)


def writer(run: StageRun[PolyaRecipe], name: str) -> ArtifactRef:
    """The model of that name, which writes the solutions; empty: the recipe's teacher, or its base model."""
    teacher = run.settings.generate.model
    return run.model(str(import_model(teacher, run.runtime)) if teacher and not name else name)
