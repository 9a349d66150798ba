"""Measure a model on benchmarks."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, Overrides, Recipe
from flows.pipeline.run import FLOW_OPTIONS, stage_run
from flows.pipeline.shards import fill_pool
from flows.stages.questions import questions as questions_flow
from tasks.evaluate.task import EVALUATE, measure, wanted_samples
from tasks.spine.store.ref import ArtifactRef


@flow(name="evaluate", flow_run_name="evaluate: {label}", **FLOW_OPTIONS)
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
        fill_pool(EVALUATE, wanted_samples, config, run.runtime, parents, force=force, label=label)
        return measure(config, run.runtime, **parents, force=force, label=label)
