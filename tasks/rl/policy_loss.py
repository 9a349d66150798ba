"""GRPO's loss from one pass over the rollouts that move the policy, compared in it with what vLLM drew."""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch
from accelerate import Accelerator
from trl import GRPOTrainer

from tasks.rl.scoring import score_rollouts
from tasks.shared.training.distributed import JointTrainer

ENTROPY = "entropy"
GAP = "sampling/sampling_logp_difference/mean"
RATIO_MEAN, RATIO_MIN = (f"sampling/importance_sampling_ratio/{name}" for name in ("mean", "min"))
"""TRL's names of what a step's scores show."""
_TOKENS_PER_PASS = {"cpu": 1024, "cuda": 16384}


def importance_ratios(gap: torch.Tensor, mode: str, clip_max: float) -> torch.Tensor:
    """TRL's correction for rollouts that vLLM drew: the trainer's probability over vLLM's, bounded.

    Args:
        gap: (rollouts, width) log-probabilities of the trainer minus those of vLLM; 0 where there is no token.
        mode: `sequence_*` has one ratio for a rollout, `token_*` one for a token; above `clip_max` a ratio is 0
            (`*_mask`) or `clip_max` (`*_truncate`).
    """
    ratios = (gap.sum(1, keepdim=True) if mode.startswith("sequence") else gap).exp()
    return ratios.clamp(max=clip_max) if mode.endswith("truncate") else ratios.masked_fill(ratios > clip_max, 0)


class StepScores:
    """Sums over the micro-batches of a step; means are those of the whole step, over all processes."""

    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._reset()

    def _reset(self) -> None:
        self._sums = torch.zeros(6, device=self._accelerator.device, dtype=torch.float64)
        self._least = torch.full((1,), torch.inf, device=self._accelerator.device)

    def add_entropy(self, entropy: torch.Tensor, mask: torch.Tensor) -> None:
        """Entropy of every token; `mask` is 1 on those that were scored."""
        self._sums[:2] += torch.stack([(entropy * mask).sum(), mask.sum()])

    def add_gap(self, gap: torch.Tensor, mask: torch.Tensor) -> None:
        """Difference of every token's log-probability; `mask` is 1 on those that both have scored."""
        self._sums[2:4] += torch.stack([gap.abs().sum(), mask.sum()])

    def add_ratios(self, ratios: torch.Tensor) -> None:
        """Ratios as they are applied."""
        self._sums[4:] += torch.stack([ratios.sum(), ratios.new_tensor(ratios.numel())])
        if ratios.numel():
            self._least = torch.minimum(self._least, ratios.min())

    def metrics(self) -> dict[str, float]:
        """Means and the least ratio, by TRL's names; what was not added is not there. Starts the next step."""
        sums, least = self._accelerator.reduce(self._sums).tolist(), float(self._accelerator.gather(self._least).min())
        self._reset()
        means = {
            name: sums[at] / sums[at + 1] for at, name in ((0, ENTROPY), (2, GAP), (4, RATIO_MEAN)) if sums[at + 1]
        }
        return {**means, RATIO_MIN: least} if RATIO_MEAN in means else means


class PolicyLoss(JointTrainer, GRPOTrainer):
    """TRL's loss without passes that change nothing: rollouts of advantage 0, and old probabilities that are the new.

    With one update a batch, TRL scores vLLM's rollouts ahead of the update too, for the ratio to vLLM. Here that ratio
    comes from the update's own pass.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A KL or entropy term moves rollouts of any advantage, and a quantile of entropy is one of all tokens.
        self._needs_all = self.beta > 0 or self.entropy_coef > 0 or self.top_entropy_quantile < 1
        self._trained: tuple[dict[str, Any], torch.Tensor] | None = None
        self._scores = StepScores(self.accelerator)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        asked = self.vllm_importance_sampling_correction
        self.vllm_importance_sampling_correction = asked and self.num_iterations > 1
        try:
            return super()._generate_and_score_completions(inputs)
        finally:
            self.vllm_importance_sampling_correction = asked

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        with self._training_on(inputs, inputs["advantages"] != 0):
            return super()._compute_loss(model, inputs)

    @contextlib.contextmanager
    def _training_on(self, inputs: dict[str, Any], moving: torch.Tensor) -> Iterator[None]:
        """Within, rollouts are scored for the loss: `moving` (rollouts,) are those that have a gradient."""
        self._trained = inputs, torch.ones_like(moving) if self._needs_all else moving
        try:
            yield
        finally:
            self._trained = None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        wanted = torch.ones_like(input_ids[:, 0], dtype=torch.bool) if self._trained is None else self._trained[1]
        tokens_per_pass = _TOKENS_PER_PASS[input_ids.device.type]
        with self.accelerator.autocast():
            log_probs, entropy, scored = score_rollouts(
                model, input_ids, attention_mask, logits_to_keep, wanted, tokens_per_pass
            )
        if self._trained is not None:
            mask = attention_mask[:, -logits_to_keep:] * scored[:, None]
            # One rollout may be scored for the graph alone.
            moving = mask * wanted[:, None]
            log_probs = self._compared(self._trained[0], log_probs, mask, moving)
            self._scores.add_entropy(entropy.detach(), moving)
        return log_probs, entropy.detach() if not self._needs_all else entropy, None

    def _compared(
        self, inputs: dict[str, Any], log_probs: torch.Tensor, mask: torch.Tensor, moving: torch.Tensor
    ) -> torch.Tensor:
        """The log-probabilities, compared with vLLM's where it wrote the rollouts; old ones where `mask` has none.

        Ratios are reported of `moving` tokens alone.

        With several updates a batch, TRL has compared those of before the first.
        """
        drawn, old = inputs.get("sampling_per_token_logps"), inputs.get("old_per_token_logps")
        if old is not None:
            return torch.where(mask > 0, log_probs, old)
        if drawn is not None:
            in_both = mask * drawn.isfinite()
            gap = torch.where(in_both > 0, log_probs.detach() - drawn, 0.0)
            self._scores.add_gap(gap, in_both)
            if self.vllm_importance_sampling_correction:
                mode, most = self.args.vllm_importance_sampling_mode, self.args.vllm_importance_sampling_clip_max
                ratios = inputs["importance_sampling_ratio"] = importance_ratios(gap, mode, most)
                self._scores.add_ratios(ratios[moving.any(1)] if ratios.shape[1] == 1 else ratios[moving.bool()])
        return log_probs

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what the step's scores show."""
        if "loss" in logs:
            # TRL's mean has zeros for rollouts that were not scored.
            self._metrics["train"].pop(ENTROPY, None)
            self._metrics["train"].update({name: [value] for name, value in self._scores.metrics().items()})
        super().log(logs, start_time)
