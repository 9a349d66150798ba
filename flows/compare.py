"""Arms x seeds -> statistics -> report."""

from collections import Counter
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Annotated, Any

from pydantic import Field, JsonValue

from flows.arms import polya, rmt
from flows.arms.common import Arm, merged
from flows.pipeline.approval import wait_for_approval
from flows.pipeline.concurrent import each
from flows.pipeline.forms import About, Arms, Dispatch, Overrides, Recipe, stages_form
from flows.pipeline.pages import show_results
from flows.pipeline.run import expect_stages, flow, pipeline, with_fields
from tasks.config import Seed
from tasks.estimates.matched import matched_steps
from tasks.estimates.stages import planned_cost, planned_total
from tasks.recipe.base import ArmConfig
from tasks.recipe.base import Recipe as AnyRecipe
from tasks.recipe.loading import METHODS as RECIPES
from tasks.recipe.loading import load
from tasks.recipe.main_settings import main_settings
from tasks.recipe.merging import RecipeError
from tasks.spine.stage.context import run_context
from tasks.spine.stage.plan import PlannedStage, announce, planning
from tasks.spine.store.ref import ArtifactRef

METHODS: dict[str, ModuleType] = {"polya": polya, "rmt": rmt}
"""The module of each method, with prepare, run_arm and report_on."""

Seeds = Annotated[
    list[Seed],
    Field(min_length=1, json_schema_extra={"uniqueItems": True}),
    About("Seeds to run every arm at, each once."),
]
ForceStages = Annotated[list[str], stages_form(*RECIPES.values())]


@flow(name="compare", flow_run_name="compare-{recipe}")
def compare(
    recipe: Recipe = "tiny-cpu",
    seeds: Seeds = [0, 1, 2],  # noqa: B006 - Prefect shows the default in its form
    arms: Arms = [],  # noqa: B006
    dispatch: Dispatch = "",
    force: ForceStages = [],  # noqa: B006
    overrides: Overrides = {},  # noqa: B006
) -> ArtifactRef:
    """Run arms at several seeds and compare them on the same questions, with intervals and paired tests."""
    flat = with_fields(overrides, {"runtime.dispatch": dispatch})
    return run_comparison(recipe, flat, seeds=seeds, arms=arms, force=force)


def outline(recipe: str, overrides: Mapping[str, JsonValue], **chosen: Any) -> list[PlannedStage]:
    """The stage calls of a comparison, by default of all arms at one seed; neither the store nor models and data are
    looked at.
    """
    with planning(None) as plan:
        run_comparison(recipe, overrides, **chosen)
    return plan.rows


def run_comparison(
    recipe: str,
    overrides: Mapping[str, JsonValue],
    *,
    seeds: Sequence[int] | None = None,
    arms: Sequence[str] = (),
    force: Sequence[str] = (),
    kind: type[AnyRecipe] = AnyRecipe,
) -> ArtifactRef:
    """Every arm at every seed, and the report over them.

    Args:
        seeds: None takes the recipe's one.
        kind: the recipe class that is asked for; a recipe of another method is refused.
    """
    settings = load(kind, recipe, overrides)
    method = METHODS[settings.method]
    forced = settings.forced(force)
    results: dict[Any, Any] = {}
    all_seeds = seeds if seeds is not None else [settings.seed]
    if len(set(all_seeds)) < len(all_seeds):
        raise RecipeError(f"seeds: {list(all_seeds)} names one twice, which would be one training and no second look")
    tags: dict[str, str] = {"recipe": recipe, "base_model": settings.model.source}
    chosen = {"seeds": list(all_seeds), "arms": list(settings.chosen(arms))}
    params = {**tags, **chosen, **main_settings(settings, overrides)}
    with pipeline(f"{settings.name}", settings.runtime, tags, params):
        expect_stages(lambda: outline(recipe, overrides, seeds=seeds, arms=arms))
        ways = {name: _settled(settings, recipe, overrides, name) for name in settings.chosen(arms)}
        todo = [
            Arm(name, config, recipe, merged(overrides, config, seed), seed, forced, one_of_seeds=len(all_seeds) > 1)
            for seed in all_seeds
            for name, config in ways.items()
        ]
        # All data before any training: a set with nothing right in it stops the run while that is still cheap.
        runtime = settings.runtime
        at_once = len(todo) if runtime.dispatch == "deployments" else runtime.concurrent_arms
        each(method.prepare, todo, at_once)
        wait_for_approval("before-training", runtime, lambda: _ahead(method, todo))
        for found in each(method.run_arm, todo, at_once):
            results |= found
        announce(settings)
        made = method.report_on(settings, results, force="report" in forced)
        show_results(made)
        return made


def _settled(settings: AnyRecipe, recipe: str, overrides: Mapping[str, JsonValue], name: str) -> ArmConfig:
    """An arm with the steps of RL that follow from another one, where it spends what that one does."""
    arm = settings.arms[name]
    if not arm.compute_of:
        return arm
    try:
        steps = matched_steps(settings.arm(name), outline(recipe, overrides, arms=[arm.compute_of]))
    except ValueError as error:
        where = f"arms.{name}.compute_of={arm.compute_of!r}"
        raise RecipeError(f"{where}: {error}; or state rl.steps in its overrides instead") from error
    return arm.model_copy(update={"overrides": {**arm.overrides, "rl.steps": steps}})


def _ahead(method: ModuleType, todo: Sequence[Arm]) -> str:
    """What arms have left to do, with counts and cost, as a Markdown table; empty where all of it is in the store."""
    with planning(run_context().store) as plan:
        each(method.run_arm, todo, 1)
    rows = {row.ref: row for row in plan.rows if row.verdict != "hit"}.values()
    if not rows:
        return ""
    counts = Counter((row.stage, row.arm or "all", planned_cost(row)) for row in rows)
    lines = [f"| {stage} | {arm} | {count} | {cost} |" for (stage, arm, cost), count in counts.items()]
    return "\n".join(
        [planned_total(plan.rows), "", "| stage | arm | times | cost each |", "|---|---|---:|---|", *lines]
    )
