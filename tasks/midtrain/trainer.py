"""TRL's `SFTTrainer` with whole optimiser steps as its items: planned ahead, packed, and counted token by token."""

import math
import time
from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import SFTConfig, SFTTrainer

from tasks.errors import Permanent
from tasks.midtrain.attention import NAME
from tasks.midtrain.batching import Row, Step, forward_passes, group_by_length, pack, plan_steps
from tasks.midtrain.collate import blank, lay_out
from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.midtrain.encoding import TrainingExample
from tasks.shared.training.adapters import adapters
from tasks.shared.training.batch_balancing import balance_by_length
from tasks.shared.training.config import IGNORED, SFT_TOKENS
from tasks.shared.training.distributed import JointTrainer, reduced, world_size
from tasks.shared.training.lm_head import reward_entropy, use_compact_head
from tasks.shared.training.models import machine_arguments
from tasks.spine.stage.worker import Reporter

METRICS = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "entropy": "entropy",
    "mean_token_accuracy": "token_accuracy",
    "trained_tokens": "trained_tokens",
}
"""Metrics that are reported: TRL's name to the project's."""


class StepCollator:
    """Turns the number of a step into the forward passes of one process, each a dictionary of tensors.

    The step's examples are shared out over the processes, and all of them get equally many passes: one that has fewer
    examples ends with passes that hold no label.
    """

    def __init__(
        self,
        examples: Sequence[TrainingExample],
        steps: Sequence[Step],
        config: MidtrainConfig,
        *,
        tokens_per_pass: int,
        filler: int,
        num_processes: int = 1,
        with_borders: bool = False,
    ) -> None:
        self._examples, self._steps, self._config = examples, steps, config
        self._num_processes, self._with_borders = num_processes, with_borders
        self._tokens_per_pass, self._filler = tokens_per_pass, filler

    def __call__(self, items: Sequence[dict[str, int]]) -> dict[str, Any]:
        [item] = items
        examples = [self._examples[i] for i in self._steps[item["step"]].examples]
        lengths = [len(example) for example in examples]
        shares = [sorted(share) for share in balance_by_length(lengths, self._num_processes)]
        passes = [self._passes([lengths[i] for i in share]) for share in shares]
        mine = item["process"]
        own = [examples[i] for i in shares[mine]]
        missing = max(map(len, passes)) - len(passes[mine])
        return {
            "passes": [lay_out(own, part, self._filler, with_borders=self._with_borders) for part in passes[mine]]
            + [blank(self._filler, with_borders=self._with_borders) for _ in range(missing)],
            "completion_tokens": sum(len(example.completion) for example in examples),
            "tokens": sum(lengths),
        }

    def _passes(self, lengths: Sequence[int]) -> list[list[Row]]:
        if not lengths:
            return []
        return forward_passes(self._lay(lengths), lengths, self._tokens_per_pass)

    def _lay(self, lengths: Sequence[int]) -> list[Row]:
        if self._config.batching == "length_grouped":
            return group_by_length(lengths)
        return pack(lengths, max(self._config.pack_length, *lengths))


class StepTrainer(JointTrainer, SFTTrainer):
    """Runs each planned step in one or more forward passes, and counts the tokens that carried loss.

    Every token of a step has the same weight, however the step was laid out and shared out (the sum of token losses
    over the step's completion tokens).
    """

    def __init__(self, *args: Any, reporter: Reporter, steps: Sequence[Step], section: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reporter, self.steps, self._section = reporter, steps, section
        self._window = {"tokens": 0, "slots": 0, "since": time.perf_counter()}
        self._trained_tokens: int | None = None

    @property
    def trained_tokens(self) -> int:
        """Completion tokens that carried loss since step 0, over restarts too."""
        if self._trained_tokens is None:
            logged = [entry for entry in self.state.log_history if "trained_tokens" in entry]
            self._trained_tokens = int(logged[-1]["trained_tokens"]) if logged else 0
        return self._trained_tokens

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """One optimiser step's gradients; returns the mean loss per completion token, times this process' share."""
        passes, losses = inputs["passes"], []
        for number, part in enumerate(passes, start=1):
            with self._part_of_step(model, last=number == len(passes)):
                losses.append(super().training_step(model, part, inputs["completion_tokens"]))
        counted = sum(int((part["labels"][:, 1:] != IGNORED).sum()) for part in passes)
        counted, slots = map(int, reduced(self, counted, sum(part["input_ids"].numel() for part in passes)))
        self._trained_tokens = self.trained_tokens + counted
        self._window["slots"] += slots
        self._window["tokens"] += inputs["tokens"]
        if counted != inputs["completion_tokens"]:
            raise RuntimeError(
                f"step {self.state.global_step}: loss fell on {counted} tokens, but the plan has "
                f"{inputs['completion_tokens']}"
            )
        return torch.stack(losses).sum()

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the counters, keep the record that a restart reads them from, and report."""
        if "loss" in logs:
            logs["trained_tokens"] = self.trained_tokens
        super().log(logs, start_time)
        if "loss" in logs:
            self._report(logs)

    def _report(self, logs: dict[str, float]) -> None:
        step = self.state.global_step
        if not math.isfinite(logs["loss"]) or not math.isfinite(logs.get("grad_norm", 0.0)):
            raise Permanent(
                f"{self._section} step {step}: loss {logs['loss']}, gradient norm {logs.get('grad_norm')}; "
                f"lower {self._section}.learning_rate={self.args.learning_rate} or use {self._section}.dtype=float32"
            )
        now = time.perf_counter()
        tokens, slots = self._window["tokens"], self._window["slots"]
        values = {
            **{ours: logs[theirs] for theirs, ours in METRICS.items()},
            "epoch": self.steps[step - 1].epoch,
            "tokens_per_s": tokens / (now - self._window["since"]),
            "padding_share": 1 - tokens / slots,
        }
        self._window = {"tokens": 0, "slots": 0, "since": now}
        self._reporter.metrics(step, **values)
        self._reporter.progress(
            step, len(self.steps), "steps", loss=values["loss"], tokens_per_s=values["tokens_per_s"]
        )


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[TrainingExample],
    config: MidtrainConfig,
    job: MidtrainJob,
    reporter: Reporter,
) -> StepTrainer:
    """A trainer that holds the plan of the whole run; `train()` starts or resumes it."""
    steps = plan_steps(len(examples), config.epochs, config.batch_size, config.seed)
    machine = machine_arguments(job)
    arguments = SFTConfig(
        **machine,
        **config.trainer_arguments(len(steps)),
        per_device_train_batch_size=1,
        gradient_accumulation_steps=1,
        train_sampling_strategy="sequential",
        completion_only_loss=True,
        loss_type="nll",
        packing=False,
        padding_free=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
    )
    collator = StepCollator(
        examples,
        steps,
        config,
        tokens_per_pass=job.sft_micro_batch_tokens or SFT_TOKENS["cpu" if machine["use_cpu"] else "cuda"],
        filler=tokenizer.pad_token_id,
        num_processes=world_size(),
        with_borders=model.config._attn_implementation == NAME,
    )
    # The sampler hands consecutive items to the processes in turn.
    items = [(step, process) for step in range(len(steps)) for process in range(world_size())]
    trainer = StepTrainer(
        model=model,
        args=arguments,
        data_collator=collator,
        train_dataset=Dataset.from_dict({"step": [item[0] for item in items], "process": [item[1] for item in items]}),
        processing_class=tokenizer,
        peft_config=adapters(model, config, job),
        reporter=reporter,
        steps=steps,
        section=job.section,
    )
    trainer.remove_callback(PrinterCallback)
    use_compact_head(trainer.model, temperature=1.0, outputs=("log_probs", "entropy", "is_top1"))
    if config.entropy_coef:
        reward_entropy(trainer.model, config.entropy_coef)
    return trainer
