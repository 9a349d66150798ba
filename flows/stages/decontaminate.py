"""Leave out what a benchmark asks: of the seed questions, of those of RL, or of the training texts of RMT."""

from typing import Annotated, Literal

from flows.pipeline.forms import About, Artifact, Force, Overrides, Recipe
from flows.pipeline.run import flow, stage_run
from flows.stages.questions import questions as questions_flow
from flows.stages.rmt.texts import texts as texts_flow
from tasks.decontaminate.task import (
    HELD_OUT_TEXTS,
    QUESTIONS,
    ROLE,
    TEXTS,
    leave_out_overlapping_texts,
    leave_out_overlaps,
)
from tasks.spine.store.ref import ArtifactRef

Which = Annotated[
    Literal["questions", "rl_questions", "texts", "chains"],
    About("What is trained on: the model's own questions, those of RL, or the texts or long chains of RMT."),
]


@flow(name="decontaminate", flow_run_name="decontaminate: {which}")
def decontaminate(
    recipe: Recipe = "tiny-cpu",
    questions: Artifact = "",
    texts: Artifact = "",
    which: Which = "questions",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """Compare questions or texts with every benchmark of the recipe; list and leave out those that share text.

    Training texts are compared with the held-out ones too.
    """
    with stage_run("decontaminate", recipe, overrides) as run:
        if which in ("texts", "chains"):
            parents = {TEXTS: run.parent(texts, texts_flow, which=which)}
            if getattr(run.settings, "evaluation_texts", None):
                parents[HELD_OUT_TEXTS] = run.parent("", texts_flow, which="evaluation_texts")
            elif which == "chains":
                parents[HELD_OUT_TEXTS] = run.parent("", texts_flow)
            leave_out = leave_out_overlapping_texts
        else:
            parents = {QUESTIONS: run.parent(questions, questions_flow, which=which)}
            leave_out = leave_out_overlaps
        for name in run.settings.evaluate.benchmarks:
            parents[ROLE + name] = run.parent("", questions_flow, which=name)
        return leave_out(run.settings.decontaminate, run.runtime, **parents, force=force, label=which)
