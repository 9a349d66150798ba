"""The dual loss with one rollout of each position, judged by a critic, which is part of every checkpoint."""

from pathlib import Path
from typing import Any, ClassVar

import torch
from safetensors.torch import load_file, save_file

from tasks.rmt.critic import Critic, advantages, explained_variance, last_states, varies
from tasks.rmt.trainer import DualTrainer
from tasks.shared.training.lm_head import add_state_head
from tasks.spine.stage.worker import is_main_process

FILE = "critic.safetensors"
"""File of a checkpoint that holds what the critic knows."""


class CriticTrainer(DualTrainer):
    """Advantages are r - V(position); V was fitted before the rewards of the step were known."""

    zero_advantage_cause: str = "all rollouts had one reward"
    zero_advantage_advice: ClassVar[str] = (
        "Draw positions that the model predicts sometimes (lower the thresholds of the tiers), use a larger "
        "schedule.positions_per_step, or check rmt_train.max_completion_tokens and the form of the prediction in "
        "prediction_prompt"
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        add_state_head(self.model)
        size = self.model.config.get_text_config().hidden_size
        self._critic = Critic(size, self._config.critic, self.accelerator.device)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        with self.accelerator.autocast():
            states = last_states(self.model, output["prompt_ids"], output["prompt_mask"], self._tokens_per_pass)
        # All processes fit the same critic, on the rollouts of all.
        gathered = self.accelerator.gather(torch.cat([states, self._rewards[:, None]], dim=1))
        first = self.accelerator.process_index * len(inputs)
        output["advantages"] = self._judged(gathered[:, :-1], gathered[:, -1])[first : first + len(inputs)]
        return output

    def _judged(self, states: torch.Tensor, rewards: torch.Tensor) -> torch.Tensor:
        """The advantages of a whole step, from which the critic then learns."""
        values = self._critic.values(states, rewards)
        self._critic.learn(states, rewards)
        metrics = self._metrics["train"]
        metrics["value"].append(float(values.mean()))
        if varies(rewards):
            metrics["explained_variance"].append(explained_variance(rewards, values))
        return advantages(rewards, values, scaled=self._config.trl.scale_rewards != "none")

    def _save_rng_state(self, output_dir: str) -> None:
        if is_main_process():
            save_file({"moments": self._critic.moments}, Path(output_dir) / FILE)
        super()._save_rng_state(output_dir)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            self._critic.moments.copy_(load_file(Path(checkpoint) / FILE)["moments"])
