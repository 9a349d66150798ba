"""RL at matched compute: as many steps as spend what another arm spends in all."""

import math
from collections.abc import Iterable
from dataclasses import replace

from tasks.estimates.stages import estimate, outlined_cost
from tasks.recipe.base import Recipe
from tasks.shared.costs.devices import device_named
from tasks.spine.stage.plan import PlannedStage
from tasks.spine.store.runtime import Runtime

MEASURING = ("evaluate", "predict")
"""Stages that look at what was made: what they take is no part of what it took to make it."""


def matched_steps(recipe: Recipe, rows: Iterable[PlannedStage]) -> int:
    """Steps of RL that take as many operations as the stages of another arm, measurements left out.

    Operations are those of `midtrain estimate`, which counts every sample as right and kept: where some are not, the
    other arm has spent less. They follow from settings alone, never from where something runs.

    Args:
        recipe: settings of the arm whose RL is to spend them.
        rows: the other arm's stage calls.

    Raises:
        ValueError: as `estimate` does.
    """
    device = device_named(recipe.sized_for or "cpu")
    calls = {row.ref: row for row in rows if row.stage not in MEASURING}
    spent = sum(outlined_cost(_anywhere(row), device).flops for row in calls.values())
    one_step = recipe.rl.model_copy(update={"steps": 1})
    step = estimate(recipe.model_copy(update={"rl": one_step, "runtime": Runtime()}), device)["rl"].flops
    return max(1, math.ceil(spent / step))


def _anywhere(row: PlannedStage) -> PlannedStage:
    """The call as it would be under the settings of no machine in particular."""
    return replace(row, context=row.context.model_copy(update={"runtime": Runtime()}))
