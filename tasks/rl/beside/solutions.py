"""RL and SFT at once: GRPO's gradients and those of the mid-training solutions in the same optimiser steps."""

import math
import sys
from collections.abc import Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from tasks.errors import Permanent
from tasks.midtrain.encoding import read_examples
from tasks.rl.arguments import METRICS as RL_METRICS
from tasks.rl.beside.rows import SolutionPlan, TextRow
from tasks.rl.beside.texts import TextTrainer
from tasks.rl.config import RLJob
from tasks.rl.prompts import RLPrompt
from tasks.rl.trainer import make_trainer
from tasks.shared.engines.tokens import check_inside
from tasks.shared.training.lm_head import add_text_head
from tasks.shared.training.models import check_context

METRICS = {
    **RL_METRICS,
    "loss_rl": "loss_rl",
    "loss_sft": "loss_sft",
    "rl_tokens": "rl_tokens",
    "sft_tokens": "sft_tokens",
    "rl_token_share": "rl_token_share",
}
"""Metrics that are reported: the trainer's name to the project's. Tokens are those that carry loss."""


class SolutionTrainer(TextTrainer):
    """L = L_RL + `rl.sft_weight` * cross-entropy on solutions, each normalised by its own tokens.

    Its model needs `tasks.shared.training.lm_head.add_text_head`.
    """

    metrics: ClassVar[dict[str, str]] = METRICS
    text_name: ClassVar[str] = "sft"

    def __init__(self, *args: Any, plan: SolutionPlan, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._plan = plan

    def text_rows(self, step: int) -> list[TextRow]:
        """The solutions of one step."""
        return self._plan.rows(step)

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        text = self._learn_texts(model)
        return self._joined(super()._compute_loss(model, inputs), text, inputs["num_items_in_batch"])

    def _is_zero_advantage(self, entry: dict[str, float]) -> bool:
        # The solutions have a gradient where rollouts have none, so that only what is solved ends a run.
        return super()._is_zero_advantage(entry) and entry.get("verdict/correct", entry["reward"]) == 1

    def ledger(self, history: Sequence[dict[str, float]]) -> dict[str, int]:
        """Tokens of solutions that carried loss, over restarts too. Raises `Permanent` where the plan has others."""
        counted = round(sum(entry["sft_tokens"] for entry in history if "sft_tokens" in entry))
        planned = sum(self._plan.tokens(step // self.num_iterations) for step in range(self.state.global_step))
        if counted != planned:
            raise Permanent(
                f"the ledger does not add up: loss fell on {counted} tokens of solutions, planned {planned}"
            )
        return {"sft_tokens": counted}


def make_with_solutions(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[RLPrompt],
    reward: Any,
    job: RLJob,
    reporter: Any,
) -> SolutionTrainer:
    """As `tasks.rl.trainer.make_trainer`, with the job's solutions beside."""
    config = job.config
    assert job.solutions is not None
    examples = read_examples(job.solutions, tokenizer, sys.maxsize, adds_prefix=job.form.adds_prefix, section="rl")
    rows = model.get_input_embeddings().weight.shape[0]
    check_inside(tokenizer, (example.prompt + example.completion for example in examples), rows)
    check_context(model, max(map(len, examples)), "the longest solution beside RL (rl.sft_weight)")
    steps = config.steps or math.ceil(len(prompts) * config.epochs / config.prompts_per_step)
    plan = SolutionPlan(examples, steps=steps, batch_size=config.sft_batch_size, seed=config.seed)
    beside = {"plan": plan, "text_weight": config.sft_weight, "text_tokens": job.sft_micro_batch_tokens}
    trainer = make_trainer(model, tokenizer, prompts, reward, job, reporter, partial(SolutionTrainer, **beside))
    assert isinstance(trainer, SolutionTrainer)
    add_text_head(trainer.model)
    return trainer
