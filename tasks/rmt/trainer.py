"""TRL's `GRPOTrainer`, by way of `GroupTrainer`, with the dual loss; the schedule decides order and prompts."""

from typing import Any, ClassVar

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback

from tasks.errors import Permanent
from tasks.rl.arguments import grpo_arguments
from tasks.rl.rollouts import RolloutLog
from tasks.rl.trainer import GRPO_METRICS, GroupTrainer
from tasks.rmt.config import RMTJob, RMTTrainConfig
from tasks.rmt.dual_loss import matched_loss, next_token_loss, text_passes
from tasks.rmt.grading import PredictionReward
from tasks.rmt.rows import Run, TextPlan, TextRow
from tasks.shared.next_token.method import TIERS
from tasks.shared.next_token.reader import OUTCOMES
from tasks.shared.training.adapters import adapters
from tasks.shared.training.config import SFT_TOKENS
from tasks.shared.training.lm_head import add_text_head, use_compact_head
from tasks.spine.stage.worker import Reporter

METRICS = {
    **GRPO_METRICS,
    "loss_rl": "loss_rl",
    "loss_ntp": "loss_ntp",
    "rl_tokens": "rl_tokens",
    "ntp_tokens": "ntp_tokens",
    "rl_token_share": "rl_token_share",
    "match": "match",
    **{f"match/{tier}": f"match_{tier}" for tier in TIERS},
    "length_reward": "length_reward",
    "reasoning_tokens": "reasoning_tokens",
    "unclosed": "unclosed_share",
    "budget_tokens": "budget_tokens",
    **{f"outcome/{name}": f"outcome_{name}" for name in OUTCOMES},
}
"""Metrics that are reported: the trainer's name to the project's. Tokens are those that carry loss, over the whole
step; `reasoning_tokens` is the mean over rollouts that close their reasoning."""


class DualTrainer(GroupTrainer):
    """L = L_RL + lambda * L_NTP in one optimiser step (arXiv 2509.24375).

    The rows of L_NTP are shared out over the processes and come first, each pass with a backward pass of its own. A
    step is a function of its number, so that a restart reads on where the checkpoint ends.
    """

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
        plan: TextPlan,
        config: RMTTrainConfig,
        grader: PredictionReward,
        text_tokens: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, reward_funcs=grader, settings=config, **kwargs)
        self._plan, self._config, self._grader = plan, config, grader
        self._text_tokens_per_pass = text_tokens or SFT_TOKENS[self.accelerator.device.type]
        self.text_weight = 1.0 if config.objective == "ntp" else config.ntp_weight
        if config.objective == "sft":
            self.zero_advantage_cause = "no prediction was right"
        self._terms = torch.zeros(2, device=self.accelerator.device)
        self._text_tokens = 0
        self._rl_tokens: torch.Tensor | None = None

    def text_tokens(self, step: int) -> int:
        """Tokens that the plan has under L_NTP in one step of the schedule."""
        return self._plan.tokens(step) if self.text_weight else 0

    def _prepare_inputs(self, generation_batch: Any) -> dict[str, Any]:
        return {} if self._config.objective == "ntp" else super()._prepare_inputs(generation_batch)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = super()._generate_and_score_completions(inputs)
        if self._config.objective == "sft":
            mask = output["completion_mask"]
            output["matched"] = torch.tensor(self._grader.matched, device=mask.device)
            tokens = (mask * output["matched"][:, None]).sum()
            # The count of the whole step, which `_compute_loss` divides by.
            output["num_items_in_batch"] = self.accelerator.gather(tokens).sum()
        return output

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        objective = self._config.objective
        text = self._learn_texts(model, leaves_last=objective == "ntp")
        self._terms[1] += text.detach()
        if objective == "ntp":
            return text
        rl = super()._compute_loss(model, inputs) if objective == "grpo" else self._matched(model, inputs)
        self._rl_tokens = inputs["num_items_in_batch"]
        self._terms[0] += rl.detach()
        return rl + self.text_weight * text

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

    def _learn_texts(self, model: Any, leaves_last: bool) -> torch.Tensor:
        """Gradients of the step's texts; returns their loss, without the weight lambda.

        Each pass has a backward pass of its own, so that the gradients of one graph alone wait to be summed. The last
        is left to the caller where `leaves_last`. Gradients are averaged over processes, so each counts its share.
        """
        total = torch.zeros((), device=self.accelerator.device)
        if not self.text_weight:
            return total
        rows = self._plan.rows(self.state.global_step // self.num_iterations)
        passes = text_passes(rows, self.accelerator.num_processes, self._text_tokens_per_pass)
        own = passes[self.accelerator.process_index] or [[]]
        share = self.accelerator.num_processes / max(sum(row.counted for row in rows), 1)
        self._text_tokens += sum(row.counted for part in own for row in part)
        kept = own.pop() if leaves_last else None
        for part in own:
            with self._part_of_step(model, last=False):
                loss = share * self._text_loss(model, part)
                self._backward(self.text_weight * loss)
            total += loss.detach()
        return total if kept is None else total + share * self._text_loss(model, kept)

    def _text_loss(self, model: Any, rows: list[TextRow]) -> torch.Tensor:
        filler = self.processing_class.pad_token_id
        with self.accelerator.autocast():
            return next_token_loss(model, rows, self.accelerator.device, filler=filler)

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add both terms, their tokens and what follows from the grades, then report and judge the step."""
        if "loss" in logs:
            self._add_terms()
            self._add_grades()
        super().log(logs, start_time)
        if "loss" in logs:
            self._check_closed()

    def _add_terms(self) -> None:
        values = self._metrics["train"]
        rl, text = self.accelerator.gather(self._terms).view(-1, 2).mean(0).tolist()
        counted = torch.tensor([self._text_tokens], device=self.accelerator.device)
        text_tokens = int(self.accelerator.gather(counted).sum())
        self._terms, self._text_tokens = torch.zeros_like(self._terms), 0
        rl_tokens = 0 if self._rl_tokens is None else int(self._rl_tokens)
        if self._config.objective != "ntp":
            values["loss_rl"].append(rl)
        if self.text_weight:
            values["loss_ntp"].append(text)
        values["rl_tokens"].append(rl_tokens)
        values["ntp_tokens"].append(text_tokens)
        values["rl_token_share"].append(rl_tokens / max(rl_tokens + text_tokens, 1))

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
) -> DualTrainer:
    """A trainer that follows the schedule; `train()` starts or resumes it."""
    config = job.config
    window = min(config.ntp_context_tokens, context_tokens or config.ntp_context_tokens)
    plan = TextPlan(
        run,
        context_tokens=window,
        overlap_tokens=min(config.ntp_overlap_tokens, window - 2),
        keep_drawn=config.objective == "ntp",
    )
    trainer = DualTrainer(
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
        plan=plan,
        config=config,
        grader=grader,
    )
    trainer.remove_callback(PrinterCallback)
    use_compact_head(trainer.model, temperature=config.temperature, outputs=("log_probs", "entropy"))
    add_text_head(trainer.model)
    return trainer
