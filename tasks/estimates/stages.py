"""Stages of a recipe, and the cost of each on a device.

A room says what its stage costs in `estimate.py`, by a function of the stage's name whose parameters are the sections
of the recipe that the cost hangs on. So a new stage is counted as soon as its room says so.
"""

from collections.abc import Callable, Iterable, Iterator
from importlib import import_module
from importlib.util import find_spec
from inspect import signature

from tasks.recipe.base import Recipe
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
    machine = Machine(recipe.model, recipe.runtime, device)
    costs = {"model": machine.imported(), "report": machine.table(REPORT_BYTES)}
    for stage, cost in _costs(recipe):
        sections = {name: _section(recipe, name) for name in list(signature(cost).parameters)[1:]}
        costs[stage] = cost(machine, **sections)
    return costs


def _costs(recipe: Recipe) -> Iterator[tuple[str, Callable[..., StageEstimate]]]:
    """Stages of a recipe, each with the function of its room that says what it costs."""
    for stage in {"questions": None, **type(recipe).model_fields}:
        room = type(_section(recipe, stage)).__module__.rpartition(".")[0]
        if room.startswith("tasks.") and find_spec(f"{room}.estimate"):
            cost = getattr(import_module(f"{room}.estimate"), stage, None)
            if cost is not None:
                yield stage, cost


def _section(recipe: Recipe, name: str) -> object:
    """A section of a recipe; the only question set of a recipe without seed questions is that of RL."""
    if name == "questions" and "questions" not in type(recipe).model_fields:
        return recipe.rl_questions
    return getattr(recipe, name)


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
    return estimate(row.context, device_of(row.context.runtime, row.context.sized_for)).get(row.stage)
