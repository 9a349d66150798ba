"""Give a base model that has no think tags two of its own, and teach it their form."""

from flows.pipeline.forms import Artifact, Force, Label, RmtName, RmtOverrides
from flows.pipeline.run import StageRun, call, flow, stage_run
from flows.stages.decontaminate import decontaminate
from tasks.recipe.rmt import RmtRecipe
from tasks.spine.store.ref import ArtifactRef
from tasks.think_tags.task import add_think_tags


@flow(name="think_tags", flow_run_name="think_tags: {label}")
def think_tags(
    recipe: RmtName = "tiny-cpu-rmt",
    texts: Artifact = "",
    model: Artifact = "",
    label: Label = "base with think tags",
    force: Force = False,
    overrides: RmtOverrides | None = None,
) -> ArtifactRef:
    """Two tokens, and a short SFT on "context, thought, next token"; resumes from its last checkpoint."""
    with stage_run("think_tags", recipe, overrides, RmtRecipe) as run:
        base = run.model(model)
        documents = run.parent(texts, decontaminate, which="texts")
        return add_think_tags(
            run.settings.think_tags, run.runtime, texts=documents, model=base, force=force, label=label
        )


def starting_model(run: StageRun[RmtRecipe], name: str) -> ArtifactRef:
    """The model artifact of that name; empty: the recipe's base model, with think tags where the recipe adds them."""
    if name or not run.settings.think_tags.enabled:
        return run.model(name)
    return call(think_tags, recipe=run.recipe, overrides=run.overrides)
