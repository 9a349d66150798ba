"""Measure a model on benchmarks."""

from flows.pipeline.forms import Artifact, Force, Label, Overrides, Recipe
from flows.pipeline.run import flow, reference, stage_run
from flows.pipeline.shards import fill_pool
from flows.stages.questions import questions as questions_flow
from tasks.evaluate.likelihood import SOLUTIONS
from tasks.evaluate.task import EVALUATE, measure, wanted_samples
from tasks.filter.adherence.scores import REWARD_MODEL
from tasks.shared.models.task import import_model
from tasks.spine.store.ref import ArtifactRef


@flow(name="evaluate", flow_run_name="evaluate: {label}")
def evaluate(
    recipe: Recipe = "tiny-cpu",
    model: Artifact = "",
    label: Label = "model",
    force: Force = False,
    overrides: Overrides | None = None,
) -> ArtifactRef:
    """Greedy accuracy and unbiased pass@k with intervals; `model` empty measures the recipe's base model."""
    with stage_run("evaluate", recipe, overrides) as run:
        config, parents = run.settings.evaluate, {"model": run.model(model)}
        for name in config.benchmarks:
            parents[f"questions.{name}"] = run.parent("", questions_flow, which=name)
        if config.reward_model:
            parents[REWARD_MODEL] = import_model(config.reward_model.model, run.runtime, classifies=True)
        if config.solutions:
            parents[SOLUTIONS] = reference(config.solutions)
        fill_pool(EVALUATE, wanted_samples, config, run.runtime, parents, force=force, label=label)
        return measure(config, run.runtime, **parents, force=force, label=label)
