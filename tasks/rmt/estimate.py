"""Cost of `rmt_train`: documents, positions, rollouts of the budget's mean length."""

from dataclasses import replace

from tasks.rmt.config import RMTTrainConfig
from tasks.schedule.config import ScheduleConfig
from tasks.schedule.estimate import reasoning_tokens, step_count
from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.machine import Machine, StageEstimate
from tasks.shared.next_token.config import PredictionPrompt
from tasks.shared.prompts.config import PromptConfig
from tasks.texts.config import TextsConfig
from tasks.texts.estimate import document_tokens, position_tokens


def rmt_train(
    machine: Machine,
    rmt_train: RMTTrainConfig,
    schedule: ScheduleConfig,
    texts: TextsConfig,
    chains: TextsConfig | None,
    prompt: PromptConfig,
    prediction_prompt: PredictionPrompt,
) -> StageEstimate:
    """Cost of rollouts and of the joint update, or of the text alone where the objective is `ntp`."""
    steps = step_count(schedule, texts)
    joint = steps * schedule.positions_per_step * document_tokens(texts)
    if rmt_train.objective == "ntp":
        per_position = rmt_train.chains_per_position * (document_tokens(chains) if chains else 0)
        return machine.trained(joint + steps * schedule.positions_per_step * per_position, rmt_train)
    mean = sum(reasoning_tokens(schedule, texts, step) for step in range(steps)) / steps
    batch = schedule.positions_per_step * rmt_train.group_size
    read = position_tokens(machine.model, texts, prompt, prediction_prompt)
    rollouts = Texts(steps * batch, read, min(mean, rmt_train.max_completion_tokens))
    trained = machine.reinforced(rollouts, rmt_train, batch, joint if rmt_train.ntp_weight else 0)
    # Rollouts are read once more for the likelihood that they give to the true token, prompts for the critic.
    once_more = rollouts.all_tokens if rmt_train.reward.match == "likelihood" else 0
    once_more += rollouts.count * rollouts.prompt if rmt_train.has_critic else 0
    if not once_more:
        return trained
    scored = machine.read(once_more, "scored")
    return replace(trained, hours=trained.hours + scored.hours, flops=trained.flops + scored.flops)
