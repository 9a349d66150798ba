"""Stages of a recipe, and the cost of each on a device."""

from collections.abc import Iterable

from tasks.estimates.cost import StageEstimate, duration
from tasks.estimates.devices import Device, device_of
from tasks.estimates.polya import PolyaCosts
from tasks.estimates.rmt import RmtCosts
from tasks.recipe.base import Recipe
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe
from tasks.spine.stage.plan import PlannedStage


def estimate(recipe: Recipe, device: Device) -> dict[str, StageEstimate]:
    """Expected cost of every stage by its name; `recipe.arm(name)` gives the recipe of an arm.

    `questions` stands for any one question set and `evaluate` for one model.

    Raises:
        ValueError: the model's shape, or the size of a question set or a corpus, is not known.
    """
    if isinstance(recipe, RmtRecipe):
        return RmtCosts(recipe, device).all()
    assert isinstance(recipe, PolyaRecipe)
    return PolyaCosts(recipe, device).all()


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
    return estimate(row.context, device_of(row.context)).get(row.stage)
