"""Stages that would run in float32 on a GPU, whose matrix products are many times slower there than in bfloat16."""

from collections.abc import Iterable

from tasks.recipe.base import Recipe
from tasks.shared.costs.devices import Device, device_of
from tasks.spine.stage.plan import PlannedStage


def float32_warnings(recipe: Recipe, device: Device, stages: Iterable[str] = ()) -> list[str]:
    """A line for each stage whose section trains or scores in float32; none on a CPU, where that is the faster one.

    Args:
        stages: those to look at; empty: all that the recipe has turned on.
    """
    if device.is_cpu:
        return []
    sections = {stage: getattr(recipe, name) for stage, name in recipe.stage_sections().items()}
    wanted = set(stages) or {stage for stage, section in sections.items() if getattr(section, "enabled", True)}
    sections = {stage: section for stage, section in sections.items() if stage in wanted}
    return [
        f"Warning: {stage}.dtype=float32 on {device.label}: bfloat16 takes half the memory of a pass and is many times "
        f"faster; set {stage}.dtype=bfloat16 (weights that train are float32 in both)"
        for stage, section in sections.items()
        if getattr(section, "dtype", "") == "float32"
    ]


def planned_warnings(rows: Iterable[PlannedStage]) -> list[str]:
    """The same of all stages of a plan that would run, each line once."""
    found: dict[str, None] = {}
    for row in rows:
        if row.verdict != "hit" and isinstance(row.context, Recipe):
            device = device_of(row.context.runtime, row.context.sized_for)
            found |= dict.fromkeys(float32_warnings(row.context, device, [row.stage]))
    return list(found)
