"""Train a model with GRPO on a 0/1 correctness reward."""

from flows.pipeline.forms import Artifact, Force, Label, Overrides, Recipe
from flows.pipeline.run import flow, stage_run
from flows.stages.rl_prompts import rl_prompts
from tasks.rl.task import train
from tasks.spine.store.ref import ArtifactRef


@flow(name="rl", flow_run_name="rl: {label}")
def rl(
    recipe: Recipe = "tiny-cpu",
    prompts: Artifact = "",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """GRPO from `model` (empty: the recipe's base model); resumes from its last checkpoint."""
    with stage_run("rl", recipe, overrides) as run:
        policy = run.model(model)
        rows = run.parent(prompts, rl_prompts, model=policy)
        return train(run.settings.rl, run.runtime, prompts=rows, model=policy, force=force, label=label)
