"""Stages of a recipe, and the cost of each on a device.

A room says what its stage costs in `estimate.py`, by a function of the stage's name whose parameters are the sections
of the recipe that the cost hangs on, None for one that the method has not. So a new stage is counted as soon as its
room says so.
"""

from collections.abc import Iterable
from importlib import import_module
from inspect import signature
from typing import Any

from tasks.recipe.base import REPORT, Recipe
from tasks.shared.costs.devices import Device, device_of
from tasks.shared.costs.machine import Machine, StageEstimate, duration
from tasks.spine.stage.plan import PlannedStage

REPORT_BYTES = 1e6


def estimate(recipe: Recipe, device: Device) -> dict[str, StageEstimate]:
    """Expected cost of every stage by its name; `recipe.arm(name)` gives the recipe of an arm.

    `questions` stands for any one question set and `evaluate` for one model.

    Raises:
        ValueError: the model's shape, or the size of a question set or a corpus, is not known.
    """
    sections = {stage: getattr(recipe, section) for stage, section in recipe.stage_sections().items()}
    return {stage: _cost(recipe, stage, sections.get(stage), device) for stage in ("model", *recipe.stages())}


def outlined_cost(row: PlannedStage, device: Device) -> StageEstimate:
    """Expected cost of one stage call, with the settings that it has. Raises ValueError as `estimate` does."""
    return _cost(row.context, row.stage, row.config, device)


def _cost(recipe: Recipe, stage: str, config: Any, device: Device) -> StageEstimate:
    """Cost of a stage with these settings, what is before it being as the recipe says."""
    machine = Machine(recipe.model, recipe.runtime, device)
    if stage == "model":
        return machine.imported()
    if stage == REPORT:
        return machine.table(REPORT_BYTES)
    room = type(config).__module__.rpartition(".")[0]
    cost = getattr(import_module(f"{room}.estimate"), stage)
    names = list(signature(cost).parameters)[1:]
    return cost(machine, **{name: config if name == stage else getattr(recipe, name, None) for name in names})


def planned_cost(row: PlannedStage) -> str:
    """Text of a plan on a stage: the seconds that the last artifact of its kind took, and the estimate."""
    if row.verdict == "hit":
        return "none"
    last = f"about {row.seconds:.0f} s (the last time)" if row.seconds is not None else ""
    try:
        estimated = _estimated(row)
    except ValueError as error:
        return "; ".join(filter(None, (last, f"no estimate: {error}")))
    return "; ".join(filter(None, (last, estimated.text if estimated else ""))) or "unknown: never run here"


def planned_total(rows: Iterable[PlannedStage]) -> str:
    """Estimated cost of everything that is missing, each artifact once."""
    missing = {row.ref: row for row in rows if row.verdict != "hit"}
    if not missing:
        return "Nothing is missing: a run takes everything from the store."
    try:
        estimates = [estimated for row in missing.values() if (estimated := _estimated(row))]
    except ValueError as error:
        return f"No estimate of the whole: {error}"
    if len(estimates) < len(missing):
        return f"No estimate of the whole: {len(missing) - len(estimates)} of {len(missing)} missing stages have none."
    hours = sum(estimate.hours for estimate in estimates)
    return f"Missing in all: {len(missing)} artifacts, estimate: {duration(hours, estimates[0].device)}."


def _estimated(row: PlannedStage) -> StageEstimate | None:
    if not isinstance(row.context, Recipe):
        return None
    return outlined_cost(row, device_of(row.context.runtime, row.context.sized_for))
