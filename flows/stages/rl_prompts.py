"""Write the prompts of RL as Parquet."""

from flows.pipeline.forms import Artifact, DataLabel, Force, Overrides, Recipe
from flows.pipeline.run import flow, stage_run
from flows.stages.decontaminate import decontaminate
from tasks.dataset.task import write_rl_prompts
from tasks.spine.store.ref import ArtifactRef


@flow(name="rl_prompts", flow_run_name="rl_prompts: {label}")
def rl_prompts(
    recipe: Recipe = "tiny-cpu",
    questions: Artifact = "",
    model: Artifact = "",
    label: DataLabel = "RL questions",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """The RL questions, each under the plain prompt; chat prompts are rendered with the model's own template."""
    with stage_run("rl_prompts", recipe, overrides) as run:
        config = run.settings.rl_prompts
        parents = {"questions": run.parent(questions, decontaminate, which="rl_questions")}
        # Plain prompts are the same for every model, so that a new model finds them made.
        if config.prompt.style != "plain":
            parents["model"] = run.model(model)
        return write_rl_prompts(config, run.runtime, **parents, force=force, label=label)
