"""TRL's `GRPOTrainer` with planned prompts, fast rollouts without vLLM, and gates that stop a run that cannot learn."""

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, ClassVar

import torch
from accelerate.utils import is_peft_model
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import GRPOTrainer

from tasks.errors import Permanent
from tasks.rl.arguments import grpo_arguments
from tasks.rl.config import RLJob
from tasks.rl.prompts import RLPrompt
from tasks.rl.schedule import plan_batches
from tasks.rl.scoring import score_rollouts
from tasks.rl.vllm_rollouts import seed_rollouts
from tasks.shared.engines.decoding.loop import decode
from tasks.shared.engines.decoding.token_choice import StopRule
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.engines.tokens import encode_prompts
from tasks.shared.training.adapters import adapters, base_model, merged_weights
from tasks.shared.training.distributed import JointTrainer
from tasks.shared.training.lm_head import use_compact_head
from tasks.shared.verification.verdict import OUTCOMES
from tasks.spine.stage.worker import Reporter

GRPO_METRICS = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "reward": "reward",
    "reward_std": "reward_std",
    "frac_reward_zero_std": "zero_advantage_group_share",
    "completions/clipped_ratio": "truncation_share",
    "completions/mean_length": "completion_tokens",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clip_share",
    "kl": "kl",
    "sampling/sampling_logp_difference/mean": "sampler_gap",
}
"""Metrics that are reported: TRL's name to the project's. `sampler_gap` is the mean difference of a token's
log-probability between vLLM and the trainer: large when weights did not reach vLLM."""
METRICS = {**GRPO_METRICS, **{f"verdict/{name}": f"verdict_{name}" for name in OUTCOMES}}
_TOKENS_PER_PASS = {"cpu": 1024, "cuda": 16384}


class GroupTrainer(JointTrainer, GRPOTrainer):
    """GRPO whose rollouts leave the batch as they end, and that reports and judges every step."""

    metrics: ClassVar[dict[str, str]] = METRICS
    section: ClassVar[str] = "rl"
    """Section of the recipe whose settings errors name."""
    shown: ClassVar[tuple[str, ...]] = ("reward", "completion_tokens")
    """Metrics shown beside the progress bar."""
    zero_advantage_cause: str = "no group had both a right and a wrong rollout"
    zero_advantage_advice: ClassVar[str] = (
        "Use questions that the model solves sometimes, a larger rl.group_size, or check rl.max_completion_tokens "
        "and the answer format"
    )

    def __init__(
        self, *args: Any, reporter: Reporter, form: PromptForm, max_zero_advantage_steps: int, **kwargs: Any
    ) -> None:
        super().__init__(*args, **kwargs)
        self._reporter, self._form, self._max_zero_advantage_steps = reporter, form, max_zero_advantage_steps
        if self.use_vllm:
            engine = self.accelerator.process_index // self.args.vllm_tensor_parallel_size
            seed_rollouts(self.args.seed, engine)
            if is_peft_model(self.model):
                # TRL would merge in place and take the adapters out again, which rounds frozen weights at every step.
                self.vllm_generation._iter_named_params = partial(merged_weights, self.model)
        self.solved = False
        """Whether training ended early, because every rollout of `max_zero_advantage_steps` batches was right."""
        # A KL or entropy term moves rollouts of any advantage.
        self._needs_all = self.beta > 0 or self.entropy_coef > 0
        self._needs_gradient: torch.Tensor | None = None

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        # TRL would add a second beginning-of-sequence token to prompts that a chat template rendered.
        return encode_prompts(self.processing_class, prompts, adds_prefix=self._form.adds_prefix), None, {}

    def _generate_single_turn(
        self, prompt_ids: list[list[int]], images: Any, multimodal_fields: Any, num_generations: int, **kwargs: Any
    ) -> tuple[list[list[int]], list[list[float]] | None]:
        if self.use_vllm:
            return super()._generate_single_turn(prompt_ids, images, multimodal_fields, num_generations, **kwargs)
        sampling = Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            max_new_tokens=self.max_completion_length,
        )
        model = base_model(self.accelerator.unwrap_model(self.model_wrapped))
        model.eval()
        completions: list[list[int]] = [[] for _ in prompt_ids]
        # TRL repeats each prompt for its group, side by side; a process has whole groups (`check_share`).
        with self.accelerator.autocast():
            # From torch's own state, which checkpoints restore.
            draws = torch.rand(len(prompt_ids), sampling.max_new_tokens, device=model.device, dtype=torch.float64)
            rule = StopRule(self.eos_token_ids, self.processing_class.pad_token_id)
            prompts = prompt_ids[::num_generations]
            for decoded in decode(model, prompts, sampling, rule, draws=draws, copies=num_generations):
                completions[decoded.row] = decoded.tokens
        model.train()
        return completions, None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self._needs_gradient = None if self._needs_all else inputs["advantages"] != 0
        loss = super()._compute_loss(model, inputs)
        self._needs_gradient = None
        return loss

    def _get_per_token_logps_and_entropies(
        self,
        model: Any,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor,
        logits_to_keep: int,
        compute_entropy: bool = False,
        **_: Any,
    ) -> tuple[torch.Tensor, torch.Tensor | None, None]:
        needs_gradient = self._needs_gradient
        if needs_gradient is None:
            needs_gradient = torch.ones_like(input_ids[:, 0], dtype=torch.bool)
        tokens_per_pass = _TOKENS_PER_PASS[input_ids.device.type]
        with self.accelerator.autocast():
            log_probs, entropy = score_rollouts(
                model, input_ids, attention_mask, logits_to_keep, needs_gradient, tokens_per_pass
            )
        return log_probs, entropy.detach() if not self._needs_all else entropy, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Report the step under this project's names, then stop the run if it cannot learn."""
        super().log(logs, start_time)
        if "loss" not in logs:
            return
        step = self.state.global_step
        values = {ours: logs[theirs] for theirs, ours in self.metrics.items() if logs.get(theirs) is not None}
        self._reporter.metrics(step, **values, step_s=logs["step_time"])
        shown = {name: values[name] for name in self.shown if name in values}
        self._reporter.progress(step, self.state.max_steps, "step", **shown, step_s=logs["step_time"])
        self._check_finite(logs)
        self._check_advantages()

    def _check_finite(self, logs: dict[str, float]) -> None:
        for name in ("loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise Permanent(
                    f"{self._where()}: {name} is {logs[name]}; lower "
                    f"{self.section}.learning_rate={self.args.learning_rate} or use {self.section}.dtype=float32"
                )

    def _check_advantages(self) -> None:
        history = [entry for entry in self.state.log_history if "frac_reward_zero_std" in entry]
        last = history[-self._max_zero_advantage_steps :]
        if len(last) < self._max_zero_advantage_steps or not all(map(self._is_zero_advantage, last)):
            return
        if min(entry["reward"] for entry in last) == 1:
            self.solved = True
            self.control.should_training_stop = True
            return
        reward = last[-1]["reward"]
        cause = "every rollout is wrong" if reward == 0 else "rollouts of a group are all right or all wrong"
        raise Permanent(
            f"{self._where()}: for {self.section}.max_zero_advantage_steps={self._max_zero_advantage_steps} batches "
            f"{self.zero_advantage_cause}, so every advantage is 0 and there is no gradient (last batch: {cause}, mean "
            f"reward {reward:.3f}). {self.zero_advantage_advice}"
        )

    def _is_zero_advantage(self, entry: dict[str, float]) -> bool:
        """Whether a batch gave no gradient."""
        return entry["frac_reward_zero_std"] == 1

    def _where(self) -> str:
        return f"{self.section} step {self.state.global_step}"


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[RLPrompt],
    reward: Callable[..., list[float]],
    job: RLJob,
    reporter: Reporter,
) -> GroupTrainer:
    """A trainer that holds the plan of the whole run; `train()` starts or resumes it."""
    config = job.config
    batches = plan_batches(len(prompts), config.prompts_per_step, config.epochs, config.steps, config.seed)
    order = [prompts[index] for batch in batches for index in batch]
    columns = {
        "prompt": [prompt.text for prompt in order],
        "answer": [prompt.answer for prompt in order],
        "question_id": [prompt.question_id for prompt in order],
    }
    trainer = GroupTrainer(
        model=model,
        reward_funcs=reward,
        args=grpo_arguments(
            job,
            config,
            num_batches=len(batches),
            prompts_per_batch=config.prompts_per_step,
            batch_setting="rl.prompts_per_step",
            longest_prompt=max(len(prompt.ids) for prompt in prompts),
        ),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        peft_config=adapters(model, config, job),
        reporter=reporter,
        form=job.form,
        max_zero_advantage_steps=config.max_zero_advantage_steps,
    )
    trainer.remove_callback(PrinterCallback)
    use_compact_head(trainer.model, temperature=config.temperature, outputs=("log_probs", "entropy"))
    return trainer
