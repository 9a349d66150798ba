"""Cost of `schedule`: how many positions, in how many steps, and how long the reasoning at each may be."""

import math

from tasks.schedule.config import ScheduleConfig
from tasks.shared.costs.machine import STORED_PER_TOKEN, Machine, StageEstimate
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import budget
from tasks.shared.prompts.config import PromptConfig
from tasks.texts.config import TextsConfig
from tasks.texts.estimate import document_count, position_tokens

UNBUDGETED_TOKENS = 872
"""Mean reasoning without a budget: RPT's, as arXiv 2509.24375 measured it."""
ANSWER_TOKENS = 12
"""A boxed prediction behind the reasoning (ours)."""
TINY_REASONING_TOKENS = 30


def schedule(
    machine: Machine,
    schedule: ScheduleConfig,
    texts: TextsConfig,
    prompt: PromptConfig,
    prediction_prompt: PredictionPrompt,
) -> StageEstimate:
    """Cost of writing the positions with their prompts."""
    positions = step_count(schedule, texts) * schedule.positions_per_step
    return machine.table(
        positions * position_tokens(machine.model, texts, prompt, prediction_prompt) * STORED_PER_TOKEN
    )


def step_count(schedule: ScheduleConfig, texts: TextsConfig) -> int:
    """Number of training steps. Raises ValueError where the number of training documents is not known."""
    return schedule.steps or math.ceil(document_count(texts) * schedule.epochs / schedule.positions_per_step)


def reasoning_tokens(schedule: ScheduleConfig, texts: TextsConfig, step: int) -> float:
    """Mean tokens of a completion at a step: the budget, which the length reward pays for."""
    if schedule.budget.enabled:
        return budget(step, step_count(schedule, texts), schedule.budget) + ANSWER_TOKENS
    return TINY_REASONING_TOKENS if texts.source == "tiny" else UNBUDGETED_TOKENS + ANSWER_TOKENS
