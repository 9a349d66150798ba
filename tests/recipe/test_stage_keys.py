"""The key of every stage under its defaults: a change here orphans what people have in their stores."""

from typing import Any

import pytest

from flows.stages import stage_flow, stage_names
from tasks.questions.sources import resolve as resolve_questions
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.spine.stage.task import STAGES
from tasks.spine.store.fingerprint import fingerprint
from tasks.texts.sources import resolve as resolve_texts

RECIPES = ("tiny-cpu", "tiny-cpu-rmt")
SOURCES = {"questions": resolve_questions, "texts": resolve_texts}
"""Stages whose identity is the content that their settings lead to."""
KEYS = {
    "dataset": "9121e27452003002",
    "entropy": "56bcb0badd45a3be",
    "evaluate": "8ae54fc078dfa4af",
    "filter": "d81fb42790b872a3",
    "generate": "24fdf787b17e74bf",
    "midtrain": "caf76c27e5498eca",
    "predict": "6b39dff804bd08d1",
    "questions": "55fedbc2ffc3ebd2",
    "rl": "aed69221a269ec29",
    "rl_prompts": "03847359322d5914",
    "rmt_train": "cda4df7f5f2891b2",
    "schedule": "882c3dc3608ab6ba",
    "texts": "a86fb7f64b31f4cc",
}


def section(name: str) -> Any:
    """The stage's settings in the tiny recipe that has it."""
    recipe = next(recipe for recipe in (load(Recipe, item) for item in RECIPES) if hasattr(recipe, name))
    return SOURCES.get(name, lambda config: config)(getattr(recipe, name))


@pytest.mark.parametrize("name", stage_names())
def test_a_stage_keeps_its_key(name: str) -> None:
    """Raise the stage's version where its artifacts change, and write the new key down."""
    stage_flow(name)
    assert fingerprint(name, STAGES[name].version, section(name), {})[:16] == KEYS[name]
