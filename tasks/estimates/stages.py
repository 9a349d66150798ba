"""Which stages a recipe comes to, and what each costs on a device."""

from tasks.artifacts.plan import PlannedStage
from tasks.estimates.cost import StageEstimate
from tasks.estimates.devices import Device, device_of
from tasks.estimates.polya import PolyaCosts
from tasks.estimates.rmt import RmtCosts
from tasks.recipe.base import Recipe
from tasks.recipe.polya import PolyaRecipe
from tasks.recipe.rmt import RmtRecipe


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
    """What a plan says of a stage: the seconds that the last artifact of its kind took, and the estimate."""
    if row.verdict == "hit":
        return "none"
    last = f"about {row.seconds:.0f} s (the last time)" if row.seconds is not None else ""
    return "; ".join(filter(None, (last, _estimated(row)))) or "unknown: never run here"


def _estimated(row: PlannedStage) -> str:
    if not isinstance(row.context, Recipe):
        return ""
    try:
        found = estimate(row.context, device_of(row.context)).get(row.stage)
    except ValueError as error:
        return f"no estimate: {error}"
    return found.text if found else ""
