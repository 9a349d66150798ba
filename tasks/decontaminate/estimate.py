"""Cost of `decontaminate`."""

from tasks.decontaminate.config import DecontaminateConfig
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import QUESTION_BYTES, count
from tasks.shared.costs.machine import STORED_PER_TOKEN, Machine, StageEstimate
from tasks.texts.config import TextsConfig
from tasks.texts.estimate import all_tokens


def decontaminate(
    machine: Machine, decontaminate: DecontaminateConfig, rl_questions: QuestionsConfig, texts: TextsConfig | None
) -> StageEstimate:
    """Cost of a copy of the RL questions, the larger set in the paper, or of the texts where the method has any."""
    copied = count(rl_questions, "rl_questions") * QUESTION_BYTES
    return machine.table(max(copied, all_tokens(texts) * STORED_PER_TOKEN) if texts else copied)
