"""Cost of `rl`."""

import math

from tasks.dataset.config import PromptSetConfig
from tasks.dataset.estimate import prompt_count
from tasks.questions.config import QuestionsConfig
from tasks.questions.estimate import mean_solution, plain_tokens
from tasks.rl.config import RLConfig
from tasks.shared.costs.expected import Expected
from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.shared.prompts.config import PromptConfig


def rl(
    machine: Machine,
    rl: RLConfig,
    rl_prompts: PromptSetConfig,
    rl_questions: QuestionsConfig,
    prompt: PromptConfig,
    expected: Expected,
) -> StageEstimate:
    """Cost of rollouts, and of updates on groups with an advantage; solutions beside count as long as rollouts."""
    steps = rl.steps or math.ceil(prompt_count(rl_prompts, rl_questions) * rl.epochs / rl.prompts_per_step)
    batch = rl.prompts_per_step * rl.group_size
    length = mean_solution(rl_questions, expected, rl.max_completion_tokens)
    rollouts = Texts(steps * batch, plain_tokens(machine.model, prompt, rl_questions), length)
    beside = steps * rl.sft_batch_size * (rollouts.prompt + length) if rl.sft_weight else 0
    return machine.reinforced(rollouts, rl, batch, beside, expected.live_share(rl.group_size))
