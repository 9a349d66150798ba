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
    "dataset": "7e9e9402c00cc592",
    "entropy": "56bcb0badd45a3be",
    "evaluate": "7039652d72c3e810",
    "filter": "e677699bdb2aed15",
    "generate": "24fdf787b17e74bf",
    "midtrain": "caf76c27e5498eca",
    "predict": "6b39dff804bd08d1",
    "questions": "92e5510541d94a81",
    "rl": "d11032b8758a0111",
    "rl_prompts": "03847359322d5914",
    "rmt_train": "cda4df7f5f2891b2",
    "schedule": "882c3dc3608ab6ba",
    "texts": "7022f71a5b133be9",
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
