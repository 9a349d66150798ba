"""Cost of `predict` for one model."""

from tasks.predict.config import PredictConfig
from tasks.schedule.config import ScheduleConfig
from tasks.schedule.estimate import reasoning_tokens, step_count
from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.next_token.method import TIERS
from tasks.shared.prompts.config import PromptConfig
from tasks.texts.config import TextsConfig
from tasks.texts.estimate import position_tokens


def predict(
    machine: Machine,
    predict: PredictConfig,
    schedule: ScheduleConfig,
    texts: TextsConfig,
    prompt: PromptConfig,
    prediction_prompt: PredictionPrompt,
) -> StageEstimate:
    """Cost of the predictions at all tiers, with the reasoning that the budget's end leaves."""
    count = len(TIERS) * predict.positions_per_tier * predict.num_samples
    length = min(reasoning_tokens(schedule, texts, step_count(schedule, texts)), predict.sampling.max_new_tokens)
    read = position_tokens(machine.model, texts, prompt, prediction_prompt)
    return machine.sampled(Texts(count, read, length), predict.num_samples)
