"""Measure a model on benchmarks."""

from prefect import flow

from flows.pipeline.forms import Artifact, Force, Label, Overrides, Recipe
from flows.pipeline.run import FLOW_OPTIONS, stage_run
from flows.stages.questions import questions as questions_flow
from tasks.evaluate.task import measure
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
        config = run.settings.evaluate
        asked = {f"questions.{name}": run.parent("", questions_flow, which=name) for name in config.benchmarks}
        return measure(config, run.runtime, model=run.model(model), **asked, force=force, label=label)
