"""Cost of `propose`: a list, or some plain solutions, of each question."""

from tasks.propose.config import ProposeConfig
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import count, mean_solution, plain_tokens
from tasks.shared.costs.expected import Expected
from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.shared.prompts.config import PromptConfig

APPROACH_TOKENS = 30
"""Tokens of one approach in a list (ours)."""


def propose(
    machine: Machine, propose: ProposeConfig, questions: QuestionsConfig, prompt: PromptConfig, expected: Expected
) -> StageEstimate:
    """Cost of what is written; a prompt for a list counts as a plain one."""
    proposals, draws = propose.proposals, 1
    length = float(proposals.count * APPROACH_TOKENS)
    if proposals.kind == "paraphrases":
        draws, length = propose.attempts, mean_solution(questions, expected, propose.max_new_tokens)
    texts = count(questions, "questions") * draws
    written = Texts(texts, plain_tokens(machine.model, prompt, questions), min(length, propose.max_new_tokens))
    return machine.sampled(written, draws)
