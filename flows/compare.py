"""Arms x seeds -> statistics -> report."""

from collections.abc import Mapping, Sequence
from typing import Annotated

from prefect import flow
from pydantic import Field, JsonValue

from flows.arms import STAGES, Arm, merged, prepare, run_arm
from flows.base import FLOW_OPTIONS, Overrides, Recipe, pipeline
from tasks.artifacts.ref import ArtifactRef
from tasks.recipe.loading import load
from tasks.recipe.merging import RecipeError
from tasks.recipe.polya import PolyaArm, PolyaRecipe
from tasks.report.config import ReportConfig, ReportEntry
from tasks.report.task import report

Seeds = Annotated[list[int], Field(min_length=1, description="Seeds to run every arm at.")]
Arms = Annotated[list[str], Field(description="Arms of the recipe; empty: all of them.")]


@flow(name="compare", flow_run_name="compare-{recipe}", **FLOW_OPTIONS)
def compare(
    recipe: Recipe = "tiny-cpu",
    seeds: Seeds = [0, 1, 2],  # noqa: B006 - Prefect shows the default in its form
    arms: Arms = [],  # noqa: B006
    force: Annotated[list[str], Field(description="Stages to build again.")] = [],  # noqa: B006
    overrides: Overrides = {},  # noqa: B006
) -> ArtifactRef:
    """Run arms at several seeds and compare them on the same questions, with intervals and paired tests."""
    return run_comparison(recipe, overrides, seeds=seeds, arms=arms, force=force)


def run_comparison(
    recipe: str,
    overrides: Mapping[str, JsonValue],
    *,
    seeds: Sequence[int] | None = None,
    arms: Sequence[str] = (),
    force: Sequence[str] = (),
) -> ArtifactRef:
    """Every arm at every seed, and the report over them; seeds None takes the recipe's one."""
    unknown = sorted(set(force) - {*STAGES, "all"})
    if unknown:
        raise RecipeError(f"force={unknown}: not stages; there are: {', '.join(STAGES)}, all")
    forced = set(STAGES) if "all" in force else set(force)
    settings = load(PolyaRecipe, recipe, overrides)
    results: dict[ReportEntry, ArtifactRef] = {}
    with pipeline(f"{settings.name}", {"recipe": recipe, "base_model": settings.model.source}):
        todo = [
            Arm(name, config, recipe, merged(overrides, config, seed), seed, forced)
            for seed in (seeds if seeds is not None else [settings.seed])
            for name, config in _chosen(settings, arms).items()
        ]
        # All data before any training: a set with nothing right in it stops the run while that is still cheap.
        for arm in todo:
            prepare(arm)
        for arm in todo:
            results |= run_arm(arm)
        summary = report_config(settings, list(results))
        parents = {entry.role: ref for entry, ref in results.items()}
        return report(summary, settings.runtime, force="report" in forced, label=settings.name, **parents)


def _chosen(settings: PolyaRecipe, names: Sequence[str]) -> dict[str, PolyaArm]:
    return {name: settings.arm(name).arms[name] for name in names or settings.arms}


def report_config(settings: PolyaRecipe, entries: list[ReportEntry]) -> ReportConfig:
    """What the report shows: its entries; each mid-trained arm after RL against RL from the base and its control."""
    ran = {name: arm for name, arm in settings.arms.items() if arm.rl and name in {entry.arm for entry in entries}}
    pairs: list[tuple[str, str]] = []
    for arm in ran.values():
        controls = [other for other in ran.values() if arm.midtrain and not other.midtrain]
        if arm.against in ran:
            controls.append(ran[arm.against])
        pairs += [(control.label, arm.label) for control in controls]
    return ReportConfig(
        title=f"Mid-training before RL: {settings.name}",
        recipe=settings.name,
        notes=settings.notes,
        entries=tuple(entries),
        comparisons=tuple(pairs),
    )
