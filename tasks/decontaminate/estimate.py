"""Cost of `decontaminate`."""

from tasks.decontaminate.config import DecontaminateConfig
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import QUESTION_BYTES, count
from tasks.shared.costs.machine import Machine, StageEstimate


def decontaminate(machine: Machine, decontaminate: DecontaminateConfig, rl_questions: QuestionsConfig) -> StageEstimate:
    """Cost of a copy of the RL questions, the larger set in the paper."""
    return machine.table(count(rl_questions, "rl_questions") * QUESTION_BYTES)
