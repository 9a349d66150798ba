"""The settings by which people tell two runs apart, of several hundred."""

from collections.abc import Mapping
from typing import Any

from tasks.recipe.base import Recipe
from tasks.spine.tracking.terms import flatten

MAIN = (
    "questions.limit",
    "texts.limit",
    "generate.samples_per_heuristic",
    "generate.sampling.temperature",
    "dataset.variants",
    "midtrain.epochs",
    "midtrain.learning_rate",
    "schedule.steps",
    "schedule.positions_per_step",
    "rmt_train.learning_rate",
    "rmt_train.group_size",
    "rmt_train.ntp_weight",
    "rl.learning_rate",
    "rl.steps",
    "rl.prompts_per_step",
    "rl.group_size",
    "rl.max_completion_tokens",
    "evaluate.samples",
    "evaluate.limit",
)
"""Ours."""


def main_settings(recipe: Recipe, overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Those that a recipe has, and whatever was overridden."""
    flat = flatten(recipe.model_dump(mode="json"))
    return {**{name: flat[name] for name in MAIN if name in flat}, **overrides}
