"""Reinforcement mid-training as one pipeline, against its baselines (arXiv 2509.24375)."""

from typing import Annotated

from pydantic import Field, JsonValue

from flows.compare import run_comparison
from flows.pipeline.forms import About, Benchmarks, Dispatch, RmtArms, RmtName, RmtOverrides, TextSource, stages_form
from flows.pipeline.run import flow, with_fields
from flows.polya import BaseModelName, RunSeed
from tasks.recipe.loading import load
from tasks.recipe.rmt import RmtRecipe
from tasks.spine.store.ref import ArtifactRef

Limit = Annotated[int | None, Field(ge=1), About("Training documents at most; empty keeps the recipe's.")]
ForceStages = Annotated[list[str], stages_form(RmtRecipe)]


@flow(name="rmt", flow_run_name="rmt-{recipe}")
def rmt(
    recipe: RmtName = "tiny-cpu-rmt",
    base_model: BaseModelName = "",
    text_source: TextSource = "",
    benchmarks: Benchmarks = [],  # noqa: B006 - Prefect shows the default in its form
    arms: RmtArms = [],  # noqa: B006
    seed: RunSeed = None,
    limit: Limit = None,
    dispatch: Dispatch = "",
    force: ForceStages = [],  # noqa: B006
    overrides: RmtOverrides = {},  # noqa: B006
) -> ArtifactRef:
    """Texts, entropy, schedule, RL on next tokens with the joint loss, next-token accuracy, RL afterwards, report.

    Runs the recipe's usual arms at one seed, or those that `arms` names, and returns the report that compares them.
    """
    given: dict[str, JsonValue] = {
        "model.source": base_model,
        "texts.source": text_source,
        "texts.limit": limit,
        "evaluate.benchmarks": benchmarks,
        "runtime.dispatch": dispatch,
    }
    flat = with_fields(overrides, given)
    chosen = arms or list(load(RmtRecipe, recipe, flat).run_arms)
    seeds = None if seed is None else [seed]
    return run_comparison(recipe, flat, seeds=seeds, arms=chosen, force=force, kind=RmtRecipe)
