"""Settings that the recipes of all methods share: a model, RL on questions afterwards, its evaluation, arms."""

from collections.abc import Collection, Mapping
from typing import ClassVar, Self

from pydantic import BaseModel, JsonValue, model_validator

from tasks.config import Frozen, Seed, StageConfig
from tasks.dataset.config import PromptSetConfig
from tasks.decontaminate.config import DecontaminateConfig
from tasks.evaluate.config import EvaluateConfig
from tasks.questions.config import QuestionsConfig
from tasks.recipe.merging import RecipeError, Sections, build, closest, section_models
from tasks.rl.config import RLConfig
from tasks.shared.costs.expected import Expected
from tasks.shared.models.config import ModelConfig
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.verification.config import VerificationConfig
from tasks.spine.store.runtime import Runtime

REPORT = "report"
"""Stage that ends every pipeline; what it shows follows from the others' settings."""


class ArmConfig(Frozen):
    """One way from the base model to an evaluated one."""

    label: str
    """Name in tables."""
    rl: bool = True
    """Train with GRPO at the end."""
    against: str = ""
    """Another arm that the report compares this one with, besides those that every arm is compared with."""
    compute_of: str = ""
    """Another arm whose operations, as `midtrain estimate` counts them from the first sample to the end of RL, this arm
    spends on RL alone: `rl.steps` follows."""
    overrides: dict[str, JsonValue] = {}
    """Dotted keys that make this arm differ, e.g. `dataset.variants: 4`."""

    @model_validator(mode="after")
    def _spends_it_on_rl(self) -> Self:
        if self.compute_of and not self.rl:
            raise ValueError(f"compute_of={self.compute_of!r} is spent on RL, which this arm has not; set rl: true")
        if self.compute_of and "rl.steps" in self.overrides:
            raise ValueError(f"compute_of={self.compute_of!r} decides rl.steps; take rl.steps out of the overrides")
        return self


class Recipe(Sections):
    """Every stage's settings in one model."""

    SHARED: ClassVar[tuple[str, ...]] = ("prompt", "verification")

    method: str
    """Method that the recipe is of."""
    name: str = ""
    """The file's name; set on reading."""
    description: str = ""
    """Purpose and cost, for people."""
    notes: tuple[str, ...] = ()
    """Notes that the report shows beside the results."""
    sized_for: str = ""
    """Device of `tasks/shared/costs/devices.yaml` that lengths and micro batches are chosen for; empty: any."""
    expected: Expected = Expected()
    """What estimates take for granted; part of no identity."""
    seed: Seed = 0
    """Seed of generation, mid-training and RL; evaluation keeps its own, so that a model has one evaluation."""
    model: ModelConfig = ModelConfig()
    prompt: PromptConfig = PromptConfig()
    """Prompt of all stages that show a question to a model."""
    verification: VerificationConfig = VerificationConfig()
    """Rules of grading in filtering, RL and evaluation."""
    rl_questions: QuestionsConfig = QuestionsConfig()
    """Questions of RL."""
    decontaminate: DecontaminateConfig = DecontaminateConfig()
    """Search for benchmark questions among all that is trained on."""
    rl_prompts: PromptSetConfig = PromptSetConfig()
    rl: RLConfig = RLConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    arms: Mapping[str, ArmConfig] = {}
    runtime: Runtime = Runtime()

    @model_validator(mode="after")
    def _code_is_no_training_data(self) -> Self:
        for name in type(self).model_fields:
            section = getattr(self, name)
            if isinstance(section, QuestionsConfig) and section.source != "tiny" and section.mapping().unit_tests:
                raise ValueError(
                    f"{name}: its answers are code, which only evaluate runs, in a sandbox, and no reward is given "
                    "for; choose a set whose answers are mathematics or choices, and put this one among "
                    "evaluate.benchmarks"
                )
        return self

    @model_validator(mode="after")
    def _adapters_are_not_sharded(self) -> Self:
        if self.runtime.num_processes > 1 and self.runtime.distribution != "ddp":
            for name in type(self).model_fields:
                if getattr(getattr(self, name), "lora", None):
                    raise ValueError(
                        f"{name}.lora trains adapters on whole models, but "
                        f"runtime.distribution={self.runtime.distribution} shards them; set it to ddp"
                    )
        return self

    @model_validator(mode="after")
    def _compute_is_that_of_an_arm(self) -> Self:
        for name, arm in self.arms.items():
            other = arm.compute_of
            if other and other not in self.arms:
                raise ValueError(f"arms.{name}.compute_of: no arm {other!r}{closest(other, self.arms)}")
            if other and self.arms[other].compute_of:
                raise ValueError(
                    f"arms.{name}.compute_of: {other!r} follows another arm itself; name an arm that states its steps"
                )
        return self

    @classmethod
    def stage_sections(cls) -> dict[str, str]:
        """Stages along the data, each with its section: the method's own, then those that all methods end with."""
        models = section_models(cls)
        found: dict[str, str] = {}
        for name in sorted(models, key=lambda name: name in Recipe.model_fields):
            if issubclass(model := models[name], StageConfig):
                found.setdefault(model.STAGE, name)
        return found

    @classmethod
    def stages(cls) -> tuple[str, ...]:
        """Stages of the method's pipeline along the data."""
        return (*cls.stage_sections(), REPORT)

    def forced(self, stages: Collection[str]) -> set[str]:
        """The stages to build again that a user names, `all` being every one.

        Raises:
            RecipeError: one is no stage of the method.
        """
        known = (*self.stages(), "all")
        if unknown := sorted(set(stages) - set(known)):
            raise RecipeError(f"force={unknown[0]}: not a stage of {self.method}{closest(unknown[0], known)}")
        return set(self.stages()) if "all" in stages else set(stages)

    def chosen(self, names: Collection[str]) -> dict[str, ArmConfig]:
        """The arms of these names, or all if there are none, each validated with its overrides.

        Raises:
            RecipeError: there is no such arm, or an override does not fit.
        """
        return {name: self.arm(name).arms[name] for name in names or self.arms}

    def arm(self, name: str) -> Self:
        """The recipe with one arm's overrides in place.

        Raises:
            RecipeError: there is no such arm, or an override does not fit.
        """
        if name not in self.arms:
            raise RecipeError(f"arm {name!r} is not in recipe {self.name!r}{closest(name, self.arms)}")
        return build(
            type(self), self.model_dump(mode="json"), self.arms[name].overrides, where=f"arms.{name}.overrides"
        )

    def set_as(self, config: BaseModel, key: str) -> str:
        """The name of a setting as it is set, such as `rl.steps`, from a stage's settings and a dotted key of theirs.

        Settings that no section has, such as those of a benchmark, keep `config` in place of one.
        """
        if key.partition(".")[0] in self.SHARED:
            return key
        alike = {name: value for name, value in self if type(value) is type(config)}
        same = [name for name, value in alike.items() if value == _without_digests(config)]
        section = next(iter(same or alike), "config") if same or len(alike) == 1 else "config"
        return key if key == "seed" and section in self.seeded() else f"{section}.{key}"


def _without_digests(config: BaseModel) -> BaseModel:
    """Settings as they stand in a recipe, which does not know what a source holds."""
    return config.model_copy(update={name: "" for name in type(config).model_fields if name.endswith("_digest")})
