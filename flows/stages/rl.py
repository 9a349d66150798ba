"""Train a model with GRPO on a 0/1 correctness reward."""

from flows.pipeline.forms import Artifact, Force, Label, Overrides, Recipe
from flows.pipeline.run import flow, stage_run
from flows.stages.dataset import dataset as dataset_flow
from flows.stages.rl_prompts import rl_prompts
from tasks.rl.task import train
from tasks.spine.store.ref import ArtifactRef


@flow(name="rl", flow_run_name="rl: {label}")
def rl(
    recipe: Recipe = "tiny-cpu",
    prompts: Artifact = "",
    model: Artifact = "",
    dataset: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """GRPO from `model` (empty: the recipe's base model); resumes from its last checkpoint.

    With `rl.sft_weight` the solutions of `dataset` are learned in the same steps.
    """
    with stage_run("rl", recipe, overrides) as run:
        policy = run.model(model)
        parents = {"prompts": run.parent(prompts, rl_prompts, model=policy), "model": policy}
        if run.settings.rl.sft_weight:
            parents["dataset"] = run.parent(dataset, dataset_flow)
        return train(run.settings.rl, run.runtime, **parents, force=force, label=label)
