"""GRPO's loss over the rollouts that move the policy, in passes by tokens, each compared with what vLLM drew."""

from collections.abc import Callable
from typing import Any

import torch
from accelerate import Accelerator
from trl import GRPOTrainer

from tasks.errors import Permanent
from tasks.rl.scoring import length_sorted_passes, score_rollouts
from tasks.shared.training.config import RL_TOKENS
from tasks.shared.training.distributed import JointTrainer, equally_many, largest_of_all

ENTROPY = "entropy"
HIGH_ENTROPY = "high_entropy"
"""Name of a mask among a step's inputs: tokens of so high an entropy that they carry loss."""
GAP = "sampling/sampling_logp_difference/mean"
RATIO_MEAN, RATIO_MIN = (f"sampling/importance_sampling_ratio/{name}" for name in ("mean", "min"))
"""TRL's names of what a step's scores show."""
Loss = Callable[[Any, dict[str, Any]], torch.Tensor]
"""Loss of rollouts under a model."""


def importance_ratios(gap: torch.Tensor, mode: str, clip_max: float) -> torch.Tensor:
    """TRL's correction for rollouts that vLLM drew: the trainer's probability over vLLM's, bounded.

    Args:
        gap: (rollouts, width) log-probabilities of the trainer minus those of vLLM; 0 where there is no token.
        mode: `sequence_*` has one ratio for a rollout, `token_*` one for a token; above `clip_max` a ratio is 0
            (`*_mask`) or `clip_max` (`*_truncate`).
    """
    ratios = (gap.sum(1, keepdim=True) if mode.startswith("sequence") else gap).exp()
    return ratios.clamp(max=clip_max) if mode.endswith("truncate") else ratios.masked_fill(ratios > clip_max, 0)


def divided_by_mean(advantages: torch.Tensor, rewards: torch.Tensor, group_size: int) -> torch.Tensor:
    """MaxRL's advantages (arXiv 2602.02710), (r - mean) / (mean + 1e-4), from r - mean.

    With 0/1 rewards and groups of G they follow the gradient of pass@1 + pass@2 / 2 + ... + pass@(G-1) / (G-1), the
    first terms of the log-probability of being right: the rarer a right rollout, the more it weighs.

    Args:
        rewards: (rollouts,), group after group.

    Raises:
        Permanent: a group's mean is below 0, so that dividing by it would turn the advantages round.
    """
    means = rewards.view(-1, group_size).mean(1).repeat_interleave(group_size)
    if (means < 0).any():
        raise Permanent(
            f"trl.scale_rewards=mean divides by a group's mean reward, which is {means.min():.3f} here; it needs "
            "rewards of 0 and above: change the reward, or set trl.scale_rewards=group"
        )
    return advantages / (means + 1e-4)


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
    comes from the update's own pass. Micro-batches are passes of at most so many tokens, not of so many rollouts.
    """

    def __init__(self, *args: Any, micro_batch_tokens: int = 0, divides_by_mean: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._divides_by_mean = divides_by_mean
        self._rewards: torch.Tensor | None = None
        # A KL or entropy term moves rollouts of any advantage, and a quantile of entropy is one of all tokens.
        self._needs_all = self.beta > 0 or self.entropy_coef > 0 or self.top_entropy_quantile < 1
        # TRL's bonus is the mean of a pass, whose share of the step goes by rollouts: a token's weight would depend on
        # which others are beside it.
        self._entropy_bonus_enabled = False
        self._tokens_per_pass = micro_batch_tokens or RL_TOKENS[self.accelerator.device.type]
        self._trained: tuple[dict[str, Any], int] | None = None
        self._scores = StepScores(self.accelerator)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        asked = self.vllm_importance_sampling_correction
        self.vllm_importance_sampling_correction = asked and self.num_iterations > 1
        try:
            output = super()._generate_and_score_completions(inputs)
        finally:
            self.vllm_importance_sampling_correction = asked
        if self._divides_by_mean:
            output["advantages"] = divided_by_mean(output["advantages"], self._rewards, self.num_generations)
        return output

    def _calculate_rewards(self, inputs: list[dict[str, Any]], *args: Any) -> torch.Tensor:
        rewards = super()._calculate_rewards(inputs, *args)
        # Those of all processes; a process has whole groups, and its own stand in the order of the processes.
        first = self.accelerator.process_index * len(inputs)
        self._rewards = rewards[first : first + len(inputs), 0]
        return rewards

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        policy_loss = super()._compute_loss
        if self.top_entropy_quantile < 1:
            inputs = {**inputs, HIGH_ENTROPY: self._high_entropy(model, inputs)}
        if not self.entropy_coef:
            return self._loss_in_passes(model, inputs, inputs["advantages"] != 0, policy_loss)
        carries = inputs.get(HIGH_ENTROPY, inputs["completion_mask"])
        # Gradients of processes are averaged.
        tokens = self.accelerator.reduce(carries.sum()).clamp(min=1) / self.accelerator.num_processes

        def with_bonus(model: Any, part: dict[str, Any]) -> torch.Tensor:
            loss = policy_loss(model, part)
            weights = part["completion_mask"] * part.get(HIGH_ENTROPY, 1)
            return loss - self.entropy_coef * (part[ENTROPY] * weights).sum() / tokens

        return self._loss_in_passes(model, inputs, inputs["advantages"] != 0, with_bonus)

    @torch.no_grad()
    def _high_entropy(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        """The tokens of highest entropy among those of the whole step, over all processes and passes."""
        mask = inputs["completion_mask"]
        ids = torch.cat([inputs["prompt_ids"], inputs["completion_ids"]], dim=1)
        read = torch.cat([inputs["prompt_mask"], mask], dim=1)
        _, entropy, _ = self._get_per_token_logps_and_entropies(model, ids, read, mask.shape[1])
        return super().get_high_entropy_mask(entropy, mask, 1 - self.top_entropy_quantile)

    def get_high_entropy_mask(self, entropies: torch.Tensor, mask: torch.Tensor, threshold: float) -> torch.Tensor:
        """A pass's part of what was chosen for the whole step; TRL would choose in each pass anew."""
        assert self._trained is not None
        return self._trained[0][HIGH_ENTROPY] & mask.bool()

    def _loss_in_passes(self, model: Any, inputs: dict[str, Any], moving: torch.Tensor, loss_of: Loss) -> torch.Tensor:
        """The loss of all rollouts, of which `moving` (rollouts,) have a gradient.

        Each pass has a backward pass of its own, so that one graph is in memory at a time; the last is left to the
        caller. All processes have equally many: one that has fewer ends with passes without rollouts.
        """
        lengths = inputs["prompt_mask"].sum(1) + inputs["completion_mask"].sum(1)
        rows = (torch.ones_like(moving) if self._needs_all else moving).nonzero().flatten()
        own = list(length_sorted_passes(rows, lengths, self._tokens_per_pass)) or [rows]
        passes = [part for part, _ in equally_many(own, rows[:0], lengths.device)]
        sizes = largest_of_all([max(1, len(part)) for part in passes], lengths.device)
        total = torch.zeros((), device=lengths.device)
        for part, size in zip(passes[:-1], sizes, strict=False):
            with self._part_of_step(model, last=False):
                loss = self._pass_loss(model, inputs, part, size, loss_of)
                self._backward(loss)
            total += loss.detach()
        return total + self._pass_loss(model, inputs, passes[-1], sizes[-1], loss_of)

    def _pass_loss(
        self, model: Any, inputs: dict[str, Any], rows: torch.Tensor, size: int, loss_of: Loss
    ) -> torch.Tensor:
        """What some of the rollouts add to the loss of all.

        TRL gathers values of each rollout, for which all processes need equally many: `size`, of which the last may be
        empty ones.
        """
        count, device = len(inputs["completion_mask"]), rows.device
        filled = torch.cat([rows, torch.zeros(size - len(rows), dtype=rows.dtype, device=device)])
        part = {
            name: value[filled] if isinstance(value, torch.Tensor) and value.shape[:1] == (count,) else value
            for name, value in inputs.items()
        }
        part["completion_mask"] = part["completion_mask"] * (torch.arange(size, device=device) < len(rows))[:, None]
        # To TRL the pass is one of several micro-batches, as many as make the mean of its rollouts that of all.
        steps, share = self.current_gradient_accumulation_steps, size / count
        part["num_items_in_batch"] = inputs["num_items_in_batch"] * share
        self.current_gradient_accumulation_steps, self._trained = 1 / share, (part, len(rows))
        try:
            return loss_of(model, part)
        finally:
            self.current_gradient_accumulation_steps, self._trained = steps, None

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        # An empty rollout is scored where there is no other, because a loss must have a graph.
        count = len(input_ids) if self._trained is None else max(1, self._trained[1])
        with self.accelerator.autocast():
            scored = score_rollouts(
                model, input_ids[:count], attention_mask[:count], logits_to_keep, self._tokens_per_pass
            )
        log_probs, entropy = (torch.cat([own, own.new_zeros(len(input_ids) - count, logits_to_keep)]) for own in scored)
        if self._trained is not None:
            mask = attention_mask[:, -logits_to_keep:]
            self._compare(self._trained[0], log_probs.detach(), mask)
            self._scores.add_entropy(entropy.detach(), mask)
            self._trained[0][ENTROPY] = entropy
        return log_probs, entropy.detach() if not self._needs_all else entropy, None

    def _compare(self, part: dict[str, Any], log_probs: torch.Tensor, mask: torch.Tensor) -> None:
        """Compare a pass with vLLM, where it wrote the rollouts, and correct for what differs.

        With several updates a batch, those of before the first are compared: by TRL, where it corrects.
        """
        drawn, old = part.get("sampling_per_token_logps"), part.get("old_per_token_logps")
        if drawn is None or (old is not None and self.vllm_importance_sampling_correction):
            return
        in_both = mask * drawn.isfinite()
        gap = torch.where(in_both > 0, (log_probs if old is None else old) - drawn, 0.0)
        self._scores.add_gap(gap, in_both)
        if self.vllm_importance_sampling_correction:
            mode, most = self.args.vllm_importance_sampling_mode, self.args.vllm_importance_sampling_clip_max
            ratios = part["importance_sampling_ratio"] = importance_ratios(gap, mode, most)
            self._scores.add_ratios(ratios[mask.any(1)] if ratios.shape[1] == 1 else ratios[mask.bool()])

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what the step's scores show."""
        if "loss" in logs:
            # TRL's mean has zeros for rollouts that were not scored.
            self._metrics["train"].pop(ENTROPY, None)
            self._metrics["train"].update({name: [value] for name, value in self._scores.metrics().items()})
        super().log(logs, start_time)
