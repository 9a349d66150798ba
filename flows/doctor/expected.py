"""What estimates say of the smoke run, to be held against what was measured."""

from collections.abc import Mapping
from typing import Any

from tasks.estimates.memory import memory
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.costs.devices import GIB, Device, device_of
from tasks.shared.costs.training import training_operations
from tasks.shared.models.facts import model_facts
from tasks.spine.store.runtime import Runtime


def expected_gib(recipe: str, overrides: Mapping[str, Any], stage: str) -> float | None:
    """Estimated peak of a stage's phases on the GPU at hand; None on a CPU, and on a GPU that is not in the table."""
    settings = load(Recipe, recipe, dict(overrides))
    phases = memory(settings, _device(settings.runtime))
    return max((need.needed / GIB for need in phases if need.phase.split()[0] == stage), default=None)


def model_flops_share(recipe: str, overrides: Mapping[str, Any], tokens_per_s: float) -> float | None:
    """Share of the device's published rate that mid-training reaches (MFU); None on a GPU that is not in the table."""
    settings = load(PolyaRecipe, recipe, dict(overrides))
    device = _device(settings.runtime)
    if device.is_cpu and settings.runtime.device != "cpu":
        return None
    operations = training_operations(model_facts(settings.model), settings.midtrain, tokens_per_s)
    return operations / (device.tflops * 1e12)


def _device(runtime: Runtime) -> Device:
    return device_of(runtime, sized_for="")
