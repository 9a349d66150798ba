"""Cost of `rl`."""

import math

from tasks.dataset.config import PromptSetConfig
from tasks.dataset.estimate import prompt_count
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import plain_tokens, set_size
from tasks.rl.config import RLConfig
from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.shared.prompts.config import PromptConfig


def rl(
    machine: Machine, rl: RLConfig, rl_prompts: PromptSetConfig, rl_questions: QuestionsConfig, prompt: PromptConfig
) -> StageEstimate:
    """Cost of rollouts and updates; solutions that are learned beside them count as long as rollouts."""
    steps = rl.steps or math.ceil(prompt_count(rl_prompts, rl_questions) * rl.epochs / rl.prompts_per_step)
    batch = rl.prompts_per_step * rl.group_size
    length = min(set_size(rl_questions).solution_tokens, rl.max_completion_tokens)
    rollouts = Texts(steps * batch, plain_tokens(machine.model, prompt, rl_questions), length)
    beside = steps * rl.sft_batch_size * (rollouts.prompt + length) if rl.sft_weight else 0
    return machine.reinforced(rollouts, rl, batch, beside)
