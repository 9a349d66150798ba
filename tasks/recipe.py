"""A recipe: every stage's settings of method A in one model, read from YAML and changed by dotted keys.

A recipe file holds only what differs from the defaults, which live on the fields of each room's `config.py`. The
order of strength is: field default, recipe file, `overrides`, an arm's own overrides.
"""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, Field, JsonValue, ValidationError

from tasks.artifacts.runtime import Runtime
from tasks.config import Frozen
from tasks.dataset.config import DatasetConfig, PromptSetConfig
from tasks.evaluation.config import EvaluationConfig
from tasks.filtering.config import FilteringConfig
from tasks.generation.config import GenerationConfig
from tasks.midtraining.config import MidtrainingConfig
from tasks.models.config import ModelConfig
from tasks.prompts.config import PromptConfig
from tasks.questions.config import QuestionsConfig
from tasks.rl.config import RLConfig
from tasks.verification.config import VerificationConfig

RECIPES = Path(__file__).resolve().parents[1] / "deployments" / "recipes"
SHARED = ("prompt", "verification")
"""Sections that stages which have a field of that name get a copy of."""


class RecipeError(ValueError):
    """A recipe, or a key or value in it, cannot be used; the message says which and what to write instead."""


class ArmConfig(Frozen):
    """One way from the base model to an evaluated one."""

    label: str
    """What tables call it."""
    midtrain: bool = True
    """Mid-train on self-generated solutions before RL."""
    rl: bool = True
    """Train with GRPO at the end."""
    against: str = ""
    """Another arm that the report compares this one with, besides RL from the base."""
    overrides: dict[str, JsonValue] = {}
    """Dotted keys that make this arm differ, e.g. `dataset.variants: 4`."""


class PolyaRecipe(Frozen):
    """Everything that method A (arXiv 2605.08472) does, from the base model to the report."""

    name: str = ""
    """The file's name; set on reading."""
    description: str = ""
    """For people: what it is for, what it costs."""
    notes: tuple[str, ...] = ()
    """Shown in the report beside the results."""
    sized_for: str = ""
    """Device of `tasks/estimates/devices.yaml` that lengths and micro batches are chosen for; empty: any."""
    seed: int = Field(0, ge=0)
    """Of generation, mid-training and RL; evaluation keeps its own, so that models meet the same draws."""
    model: ModelConfig = ModelConfig()
    prompt: PromptConfig = PromptConfig()
    """Shared by all stages that show a prompt to a model."""
    verification: VerificationConfig = VerificationConfig()
    """Shared by filtering, RL and evaluation."""
    questions: QuestionsConfig = QuestionsConfig()
    """Seed questions that the model writes solutions for."""
    rl_questions: QuestionsConfig = QuestionsConfig()
    """Questions of RL: another, harder set in the paper."""
    generation: GenerationConfig = GenerationConfig()
    filtering: FilteringConfig = FilteringConfig()
    dataset: DatasetConfig = DatasetConfig()
    rl_prompts: PromptSetConfig = PromptSetConfig()
    midtraining: MidtrainingConfig = MidtrainingConfig()
    rl: RLConfig = RLConfig()
    evaluation: EvaluationConfig = EvaluationConfig()
    arms: dict[str, ArmConfig] = Field(
        default_factory=lambda: {
            "vanilla": ArmConfig(label="RL from base", midtrain=False),
            "polya": ArmConfig(label="RL from mid-trained"),
        }
    )
    runtime: Runtime = Runtime()

    def arm(self, name: str) -> "PolyaRecipe":
        """The recipe with one arm's overrides in place.

        Raises:
            RecipeError: there is no such arm, or an override does not fit.
        """
        if name not in self.arms:
            raise RecipeError(f"arm {name!r} is not in recipe {self.name!r}{_closest(name, self.arms)}")
        return build(self.model_dump(mode="json"), self.arms[name].overrides, where=f"arms.{name}.overrides")


def names() -> list[str]:
    """Recipes that ship with the project."""
    return sorted(path.stem for path in RECIPES.glob("*.yaml"))


def load(name: str, overrides: Mapping[str, JsonValue] | None = None) -> PolyaRecipe:
    """A recipe by name or by path of a YAML file, with dotted overrides merged in and validated.

    Raises:
        RecipeError: no such recipe, a key that does not exist (the closest valid one is named), or a bad value.
    """
    path = Path(name) if name.endswith((".yaml", ".yml")) else RECIPES / f"{name}.yaml"
    if not path.exists():
        raise RecipeError(f"recipe {name!r}: no file {path}{_closest(name, names())}; or give the path of a .yaml file")
    try:
        values = yaml.safe_load(path.read_text()) or {}
    except yaml.YAMLError as error:
        raise RecipeError(f"recipe {path} is not YAML: {error}") from error
    _check_keys(values, PolyaRecipe, f"{path.name}: ")
    return build({**values, "name": path.stem}, overrides or {}, where="--set")


def build(values: Mapping[str, Any], overrides: Mapping[str, JsonValue], *, where: str) -> PolyaRecipe:
    """Merge dotted overrides onto plain values, share the shared sections, spread the seed, validate."""
    merged = _copy(values)
    for key, value in overrides.items():
        _check_keys(_nest(key, value), PolyaRecipe, f"{where} ")
        _set(merged, key.split("."), value)
    _share(merged)
    try:
        return PolyaRecipe.model_validate(merged)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']} (got {e['input']!r})" for e in error.errors()]
        raise RecipeError("recipe does not validate:\n  " + "\n  ".join(lines)) from error


def _share(merged: dict[str, Any]) -> None:
    """Copy shared sections and the seed into the stages that have a field for them."""
    stages = {
        name: field.annotation
        for name, field in PolyaRecipe.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel) and name not in SHARED
    }
    for name, model in stages.items():
        section = merged.setdefault(name, {})
        for shared in SHARED:
            if shared in model.model_fields and shared in merged:
                section[shared] = merged[shared]
    for name in ("generation", "dataset", "rl_prompts", "midtraining", "rl"):
        if "seed" in merged and "seed" in stages[name].model_fields:
            merged[name]["seed"] = merged["seed"]


def _check_keys(values: Any, model: type[BaseModel], where: str, prefix: str = "") -> None:
    """Refuse keys that the model does not have, naming the closest one it has."""
    if not isinstance(values, Mapping):
        return
    for key, value in values.items():
        if key not in model.model_fields:
            known = [f"{prefix}{name}" for name in model.model_fields]
            raise RecipeError(f"{where}{prefix}{key} is not a setting{_closest(prefix + key, known)}")
        annotation = model.model_fields[key].annotation
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            _check_keys(value, annotation, where, f"{prefix}{key}.")


def _closest(name: str, known: Any) -> str:
    found = difflib.get_close_matches(name, list(known), n=1, cutoff=0.4)
    return f"; did you mean {found[0]!r}?" if found else f"; there are: {', '.join(sorted(known))}"


def _nest(key: str, value: JsonValue) -> dict[str, Any]:
    first, _, rest = key.partition(".")
    return {first: _nest(rest, value) if rest else value}


def _set(target: dict[str, Any], keys: list[str], value: JsonValue) -> None:
    for key in keys[:-1]:
        if not isinstance(target.get(key), dict):
            target[key] = {}
        target = target[key]
    target[keys[-1]] = value


def _copy(value: Any) -> Any:
    return {key: _copy(item) for key, item in value.items()} if isinstance(value, Mapping) else value
