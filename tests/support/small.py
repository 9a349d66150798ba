"""The smallest pipeline that still passes every stage, and how tests run flows."""

from dataclasses import dataclass
from typing import Any

from tasks.recipe.rmt import STANDARD_ARMS
from tasks.spine.stage.context import run_context_with
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.tracking.journal import StageRecord

SMALL: dict[str, Any] = {
    "questions.tiny.count": 16,
    "rl_questions.tiny.count": 16,
    "dataset.min_rows": 1,
    "midtrain.epochs": 1,
    "rl.steps": 2,
    "rl.group_size": 4,
    "rl.prompts_per_step": 4,
    "evaluate.benchmarks": ["tiny-test"],
    "evaluate.limit": 8,
    "evaluate.samples": 2,
    "evaluate.resamples": 200,
    # Each is a process that imports a computer algebra system.
    "runtime.num_verifiers": 1,
}
"""Overrides that make the tiny pipeline as small as it can be and still pass every stage."""

BEFORE_TRAINING = ("questions", "decontaminate", "model", "generate", "filter", "dataset", "rl_prompts")
"""Stages of the tiny pipeline up to the first training."""

RL_ONLY: dict[str, Any] = {"arms": {"grpo": {"label": "RL", "midtrain": False}}}
"""Overrides that leave an arm with nothing but RL and evaluation."""

MIDTRAIN_ONLY: dict[str, Any] = {"arms": {"polya": {"label": "Mid-trained", "rl": False}}}
"""Overrides that leave an arm with no RL."""


SMALL_RMT: dict[str, Any] = {
    # RL on questions, which the other method's tests cover, follows one arm only.
    "arms": {
        name: {**STANDARD_ARMS[name].model_dump(mode="json"), "rl": name == "rmt"} for name in ("ntr", "rpt", "rmt")
    },
    "texts.tiny.count": 60,
    "texts.evaluation_documents": 20,
    "schedule.steps": 3,
    "schedule.positions_per_step": 4,
    "rmt_train.group_size": 4,
    "predict.positions_per_tier": 8,
    "predict.samples": 2,
    "predict.resamples": 200,
    "rl_questions.tiny.count": 16,
    "rl.steps": 2,
    "rl.group_size": 4,
    "rl.prompts_per_step": 4,
    "evaluate.limit": 8,
    "evaluate.samples": 2,
    "evaluate.resamples": 200,
    "runtime.num_verifiers": 1,
}
"""The same for reinforcement mid-training."""


@dataclass
class Run:
    """A finished pipeline."""

    ref: ArtifactRef
    stages: list[StageRecord]

    @property
    def built(self) -> list[str]:
        """Names of the stages that did work."""
        return [name for name, _, hit, _ in self.stages if not hit]


def run(flow: Any, **parameters: Any) -> Run:
    """Call a flow and note the stages it passes."""
    stages: list[StageRecord] = []
    with run_context_with(journal=stages):
        return Run(flow(**parameters), stages)
