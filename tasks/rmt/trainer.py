"""TRL's `GRPOTrainer`, by way of `GroupTrainer`, with the dual loss; the schedule decides order and prompts."""

from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback

from tasks.errors import Permanent
from tasks.rl.arguments import GRPO_METRICS, grpo_arguments
from tasks.rl.beside.rows import TextRow
from tasks.rl.beside.texts import TextTrainer
from tasks.rl.rollouts import RolloutLog
from tasks.rmt.config import RMTJob, RMTTrainConfig
from tasks.rmt.dual_loss import matched_loss
from tasks.rmt.grading import PredictionReward
from tasks.rmt.information_gain import asked_for, thought_of, thoughts_alone
from tasks.rmt.rows import MixedPlan, Run, TextPlan
from tasks.shared.next_token.method import TIERS
from tasks.shared.next_token.reader import OUTCOMES
from tasks.shared.training.adapters import adapters
from tasks.shared.training.lm_head import add_text_head, use_compact_head
from tasks.spine.stage.worker import Reporter

METRICS = {
    **GRPO_METRICS,
    "loss_rl": "loss_rl",
    "loss_ntp": "loss_ntp",
    "rl_tokens": "rl_tokens",
    "ntp_tokens": "ntp_tokens",
    "rl_token_share": "rl_token_share",
    "log_likelihood": "log_likelihood",
    "match": "match",
    **{f"match/{tier}": f"match_{tier}" for tier in TIERS},
    "length_reward": "length_reward",
    "reasoning_tokens": "reasoning_tokens",
    "unclosed": "unclosed_share",
    "budget_tokens": "budget_tokens",
    "value": "value",
    "explained_variance": "explained_variance",
    **{f"outcome/{name}": f"outcome_{name}" for name in OUTCOMES},
}
"""Metrics that are reported: the trainer's name to the project's. Tokens are those that carry loss, over the whole
step; `reasoning_tokens` is the mean over rollouts that close their reasoning. `value` is what the critic expected on
average, `explained_variance` the share of the rewards' variance that it told ahead."""


class DualTrainer(TextTrainer):
    """L = L_RL + lambda * L_NTP in one optimiser step (arXiv 2509.24375)."""

    text_name: ClassVar[str] = "ntp"
    metrics: ClassVar[dict[str, str]] = METRICS
    section: ClassVar[str] = "rmt_train"
    shown: ClassVar[tuple[str, ...]] = ("loss", "match", "reasoning_tokens")
    named: ClassVar[tuple[str, str]] = ("document_id", "target")
    zero_advantage_advice: ClassVar[str] = (
        "Draw positions that the model predicts sometimes (lower the thresholds of the tiers), use a larger "
        "rmt_train.group_size, or check rmt_train.max_completion_tokens and the form of the prediction in "
        "prediction_prompt"
    )

    def __init__(
        self,
        *args: Any,
        plan: TextPlan | MixedPlan,
        config: RMTTrainConfig,
        grader: PredictionReward,
        **kwargs: Any,
    ) -> None:
        weight = 1.0 if config.objective == "ntp" else config.ntp_weight
        super().__init__(*args, reward_funcs=grader, settings=config, text_weight=weight, **kwargs)
        self._plan, self._config, self._grader = plan, config, grader
        self._rewards_likelihood = config.reward.match == "likelihood"
        if config.objective == "sft":
            self.zero_advantage_cause = "no prediction was right"

    def text_rows(self, step: int) -> list[TextRow]:
        """The texts of one step of the schedule."""
        return self._plan.rows(step)

    def text_tokens(self, step: int) -> int:
        """Tokens that the plan has under L_NTP in one step of the schedule."""
        return self._plan.tokens(step) if self.text_weight else 0

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        return {} if self._config.objective == "ntp" else super()._prepare_inputs(generation_batch)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        if self._rewards_likelihood:
            close = self._grader.reader.close_id
            mask = thoughts_alone(output["completion_ids"], output["completion_mask"], close)
            output["completion_mask"] = mask
            output["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        if self._config.objective == "sft":
            mask = output["completion_mask"]
            output["matched"] = torch.tensor(self._grader.matched, device=mask.device)
            tokens = (mask * output["matched"][:, None]).sum()
            # The count of the whole step, which `_compute_loss` divides by.
            output["num_items_in_batch"] = self.accelerator.gather(tokens).sum()
        return output

    def _calculate_rewards(
        self, inputs: list[dict[str, Any]], prompts: Any, completions: Any, completion_ids_list: list[list[int]]
    ) -> torch.Tensor:
        if self._rewards_likelihood:
            self._grader.likelihoods = self._likelihoods(inputs, completion_ids_list)
        return super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)

    @torch.no_grad()
    def _likelihoods(self, inputs: list[dict[str, Any]], completion_ids: list[list[int]]) -> list[float]:
        """Log p of each true next token behind its rollout's thought; nats."""
        reader = self._grader.reader
        prompts, _, _ = self._tokenize_prompts([row["prompt"] for row in inputs])
        thoughts = [thought_of(ids, reader.close_id, reader.end_ids) for ids in completion_ids]
        targets = [row["target_token"] for row in inputs]
        ids, mask = asked_for(prompts, thoughts, targets, reader.close_id, self.processing_class.pad_token_id)
        device = self.accelerator.device
        found, _, _ = self._get_per_token_logps_and_entropies(self.model, ids.to(device), mask.to(device), 1)
        return found[:, 0].tolist()

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        objective = self._config.objective
        text = self._learn_texts(model, leaves_last=objective == "ntp")
        if objective == "ntp":
            return text
        rl = super()._compute_loss(model, inputs) if objective == "grpo" else self._matched(model, inputs)
        return self._joined(rl, text, inputs["num_items_in_batch"])

    def _matched(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        tokens = inputs["num_items_in_batch"] / self.accelerator.num_processes

        def loss_of(model: Any, part: dict[str, Any]) -> torch.Tensor:
            ids = torch.cat([part["prompt_ids"], part["completion_ids"]], dim=1)
            mask = part["completion_mask"]
            log_probs, _, _ = self._get_per_token_logps_and_entropies(
                model, ids, torch.cat([part["prompt_mask"], mask], dim=1), mask.shape[1], compute_entropy=True
            )
            return matched_loss(log_probs, mask, part["matched"], tokens)

        return self._loss_in_passes(model, inputs, inputs["matched"], loss_of)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add what follows from the grades, then report and judge the step."""
        if "loss" in logs:
            self._add_grades()
        super().log(logs, start_time)
        if "loss" in logs:
            self._check_closed()

    def _add_grades(self) -> None:
        """Rates from what the grader counted per rollout; sums over devices first, then one division."""
        values = self._metrics["train"]
        if not values.get("outcome/right"):
            return
        values["match"] = list(values["outcome/right"])
        for tier in TIERS:
            if values.get(f"rows/{tier}", [0.0])[0] > 0:
                values[f"match/{tier}"].append(values[f"right/{tier}"][0] / values[f"rows/{tier}"][0])
        closed = values["closed"][0]
        values["unclosed"].append(1 - closed)
        if closed > 0:
            values["reasoning_tokens"].append(values["reasoning_per_rollout"][0] / closed)

    def _is_zero_advantage(self, entry: dict[str, float]) -> bool:
        return entry["match"] == 0 if self._config.objective == "sft" else super()._is_zero_advantage(entry)

    def _check_closed(self) -> None:
        limit = self._config.max_unclosed_steps
        last = [entry for entry in self.state.log_history if "unclosed" in entry][-limit:]
        if len(last) == limit and min(entry["unclosed"] for entry in last) == 1:
            prompt = self._config.prediction_prompt
            raise Permanent(
                f"{self._where()}: in {limit} batches (rmt_train.max_unclosed_steps) no rollout closed its reasoning "
                f"with "
                f"{prompt.close_tag!r}, so no prediction was read and no reward was above 0; "
                f"{last[-1]['outcome/truncated']:.0%} of the last were cut at rmt_train.max_completion_tokens="
                f"{self._config.max_completion_tokens}. Raise that, or start from a model that writes the tags"
            )


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    run: Run,
    grader: PredictionReward,
    job: RMTJob,
    reporter: Reporter,
    *,
    longest_prompt: int,
    context_tokens: int | None,
    chains: Sequence[np.ndarray] = (),
    kind: Callable[..., DualTrainer] = DualTrainer,
) -> DualTrainer:
    """A trainer of a `kind` that follows the schedule; `train()` starts or resumes it."""
    config = job.config
    trainer = kind(
        model=model,
        args=grpo_arguments(
            job,
            config,
            num_batches=run.steps,
            prompts_per_batch=run.positions_per_step,
            batch_setting="schedule.positions_per_step",
            longest_prompt=longest_prompt,
            rollouts=config.objective != "ntp",
        ),
        train_dataset=Dataset.from_dict({**run.asked, "document_id": run.documents}),
        processing_class=tokenizer,
        peft_config=adapters(model, config, job),
        micro_batch_tokens=job.rl_micro_batch_tokens,
        text_tokens=job.sft_micro_batch_tokens,
        reporter=reporter,
        form=job.form,
        rollouts=RolloutLog(job.checkpoints.with_name("rollouts"), run.steps),
        plan=text_plan(run, config, chains, context_tokens),
        config=config,
        grader=grader,
    )
    trainer.remove_callback(PrinterCallback)
    use_compact_head(trainer.model, temperature=config.temperature, outputs=("log_probs", "entropy"))
    add_text_head(trainer.model)
    return trainer


def text_plan(
    run: Run, config: RMTTrainConfig, chains: Sequence[np.ndarray], context_tokens: int | None
) -> TextPlan | MixedPlan:
    """What next-token prediction learns in each step, in rows that fit the model's context."""
    window = min(config.ntp_context_tokens, context_tokens or config.ntp_context_tokens)
    lengths = {"context_tokens": window, "overlap_tokens": min(config.ntp_overlap_tokens, window - 2)}
    plan = TextPlan(run, **lengths, keep_drawn=config.objective == "ntp")
    if not config.chains_per_position:
        return plan
    per_step = run.positions_per_step * config.chains_per_position
    return MixedPlan(plan, chains, **lengths, steps=run.steps, chains_per_step=per_step, seed=config.seed)
