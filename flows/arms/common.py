"""What the arms of all methods share: their parameters, evaluation of a checkpoint, RL on questions at the end."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from flows.pipeline.run import call
from flows.stages.decontaminate import decontaminate
from flows.stages.evaluate import evaluate
from flows.stages.questions import questions
from flows.stages.rl import rl
from flows.stages.rl_prompts import rl_prompts
from tasks.recipe.base import ArmConfig
from tasks.spine.store.ref import ArtifactRef


@dataclass(frozen=True)
class Arm:
    """What is needed to run one arm at one seed."""

    name: str
    config: ArmConfig
    recipe: str
    overrides: dict[str, JsonValue]
    """Overrides of the run, and on top of them those of the arm."""
    seed: int
    force: Collection[str]
    one_of_seeds: bool = False
    """There are runs at other seeds beside it."""

    def called(self, label: str) -> str:
        """`label` as a name of this arm's runs, of which there may be one for each seed."""
        return f"{label}, seed {self.seed}" if self.one_of_seeds else label

    def stage(self, name: str) -> dict[str, object]:
        """Parameters that every stage flow of this arm gets."""
        return {"recipe": self.recipe, "overrides": self.overrides, "force": name in self.force}


def merged(overrides: Mapping[str, JsonValue], arm: ArmConfig, seed: int) -> dict[str, JsonValue]:
    """Overrides of a run, with the seed, and on top of them those of an arm."""
    return {**overrides, "seed": seed, **arm.overrides}


def clean_questions(arm: Arm, which: str) -> ArtifactRef:
    """The questions of one of the recipe's sections, without those that its benchmarks ask."""
    asked = call(questions, which=which, **arm.stage("questions"))
    return call(decontaminate, questions=asked, which=which, **arm.stage("decontaminate"))


def measured(arm: Arm, model: ArtifactRef, label: str) -> ArtifactRef:
    """The evaluation of a checkpoint on benchmarks."""
    return call(evaluate, model=model, label=arm.called(label), **arm.stage("evaluate"))


def after_rl(arm: Arm, policy: ArtifactRef, base: ArtifactRef, label: str, **beside: ArtifactRef) -> ArtifactRef:
    """`policy` trained with GRPO on the RL questions, whose prompts are those of the base model.

    Args:
        beside: what is learned in the same steps.
    """
    given = {"questions": clean_questions(arm, "rl_questions"), "model": base, "label": "RL questions"}
    prompts = call(rl_prompts, **given, **arm.stage("rl_prompts"))
    return call(rl, prompts=prompts, model=policy, **beside, label=arm.called(label), **arm.stage("rl"))
