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
    "evaluate": "37d99943c8fcce2a",
    "filter": "d81fb42790b872a3",
    "generate": "bd2cedba172048d7",
    "midtrain": "caf76c27e5498eca",
    "predict": "a812d6752a189194",
    "questions": "92e5510541d94a81",
    "rl": "96099ca049f0f4f6",
    "rl_prompts": "03847359322d5914",
    "rmt_train": "e3911d0a10790713",
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
