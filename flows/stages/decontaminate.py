"""Leave out questions that a benchmark asks too: of the seed questions, or of those of RL."""

from typing import Annotated, Literal

from flows.pipeline.forms import About, Artifact, Force, Overrides, Recipe
from flows.pipeline.run import flow, stage_run
from flows.stages.questions import questions as questions_flow
from tasks.decontaminate.task import QUESTIONS, ROLE, leave_out_overlaps
from tasks.spine.store.ref import ArtifactRef

Which = Annotated[Literal["questions", "rl_questions"], About("Whose questions these are: the model's own, or RL's.")]


@flow(name="decontaminate", flow_run_name="decontaminate: {which}")
def decontaminate(
    recipe: Recipe = "tiny-cpu",
    questions: Artifact = "",
    which: Which = "questions",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """Compare questions with every benchmark of the recipe; list and leave out those that share text."""
    with stage_run("decontaminate", recipe, overrides) as run:
        parents = {QUESTIONS: run.parent(questions, questions_flow, which=which)}
        for name in run.settings.evaluate.benchmarks:
            parents[ROLE + name] = run.parent("", questions_flow, which=name)
        return leave_out_overlaps(run.settings.decontaminate, run.runtime, **parents, force=force, label=which)
