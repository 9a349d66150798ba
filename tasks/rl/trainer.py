"""TRL's `GRPOTrainer` with planned prompts, fast rollouts without vLLM, and gates that stop a run that cannot learn."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from datasets import Dataset
from transformers import PreTrainedModel, PreTrainedTokenizerBase, PrinterCallback
from trl import GRPOConfig, GRPOTrainer

from tasks.engines.decoding import decode_batch
from tasks.engines.protocol import Sampling
from tasks.engines.tokens import encode_prompts
from tasks.rl.job import RLJob
from tasks.rl.prompts import Prompt
from tasks.rl.reward import OUTCOMES
from tasks.rl.schedule import plan
from tasks.rl.scoring import score_rollouts
from tasks.training.lm_head import use_compact_head
from tasks.training.models import machine_arguments
from tasks.worker import Permanent, Reporter

METRICS = {
    "loss": "loss",
    "learning_rate": "learning_rate",
    "grad_norm": "grad_norm",
    "reward": "reward",
    "reward_std": "reward_std",
    "frac_reward_zero_std": "dead_group_share",
    "completions/clipped_ratio": "truncation_share",
    "completions/mean_length": "completion_tokens",
    "entropy": "entropy",
    "clip_ratio/region_mean": "clip_share",
    "kl": "kl",
    "sampling/sampling_logp_difference/mean": "sampler_gap",
    **{f"verdict/{name}": f"verdict_{name}" for name in OUTCOMES},
}
"""TRL's names of what is reported, and ours. `sampler_gap` is the mean difference of a token's log-probability between
vLLM and the trainer: large when weights did not reach vLLM."""
_ROWS_PER_PASS_GPU = 8
_TOKENS_PER_PASS = {"cpu": 1024, "cuda": 16384}


class GroupTrainer(GRPOTrainer):
    """GRPO whose rollouts leave the batch as they end, and that reports and judges every step."""

    def __init__(self, *args: Any, reporter: Reporter, max_dead_steps: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._reporter, self._max_dead_steps = reporter, max_dead_steps
        self.solved = False
        """Whether training ended early because every rollout was right for `max_dead_steps` batches."""
        # A KL or entropy term moves rollouts of any advantage.
        self._needs_all = self.beta > 0 or self.entropy_coef > 0
        self._live: torch.Tensor | None = None

    def _tokenize_prompts(self, prompts: list[str]) -> tuple[list[list[int]], None, dict[str, Any]]:
        # TRL would add a second beginning-of-sequence token to prompts that a chat template rendered.
        return encode_prompts(self.processing_class, prompts), None, {}

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
        model = self.accelerator.unwrap_model(self.model_wrapped)
        model.eval()
        completions: list[list[int]] = [[] for _ in prompt_ids]
        # TRL repeats each prompt for its group, on one device side by side.
        with self.accelerator.autocast():
            # No generator: torch's own state is the one that checkpoints restore.
            for decoded in decode_batch(
                model,
                prompt_ids[::num_generations],
                sampling,
                end_ids=self.eos_token_ids,
                pad_id=self.processing_class.pad_token_id,
                generator=None,
                copies=num_generations,
            ):
                completions[decoded.row] = decoded.tokens
        model.train()
        return completions, None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> torch.Tensor:
        self._live = None if self._needs_all else inputs["advantages"] != 0
        loss = super()._compute_loss(model, inputs)
        self._live = None
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
        live = torch.ones_like(input_ids[:, 0], dtype=torch.bool) if self._live is None else self._live
        with self.accelerator.autocast():
            log_probs, entropy = score_rollouts(
                model, input_ids, attention_mask, logits_to_keep, live, _TOKENS_PER_PASS[input_ids.device.type]
            )
        return log_probs, entropy.detach() if not self._needs_all else entropy, None

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Report the step under this project's names, then stop the run if it cannot learn."""
        super().log(logs, start_time)
        if "loss" not in logs:
            return
        step = self.state.global_step
        values = {ours: logs[theirs] for theirs, ours in METRICS.items() if logs.get(theirs) is not None}
        self._reporter.metrics(step, **values, step_s=logs["step_time"])
        shown = {name: values[name] for name in ("reward", "completion_tokens") if name in values}
        self._reporter.progress(step, self.state.max_steps, "step", **shown, step_s=logs["step_time"])
        self._check_finite(logs)
        self._check_alive()

    def _check_finite(self, logs: dict[str, float]) -> None:
        for name in ("loss", "grad_norm"):
            if not math.isfinite(logs.get(name, 0.0)):
                raise Permanent(
                    f"RL step {self.state.global_step}: {name} is {logs[name]}; lower "
                    f"rl.learning_rate={self.args.learning_rate} or use rl.dtype=float32"
                )

    def _check_alive(self) -> None:
        history = [entry for entry in self.state.log_history if "frac_reward_zero_std" in entry]
        last = history[-self._max_dead_steps :]
        if len(last) < self._max_dead_steps or min(entry["frac_reward_zero_std"] for entry in last) < 1:
            return
        if min(entry["reward"] for entry in last) == 1:
            self.solved = True
            self.control.should_training_stop = True
            return
        reward = last[-1]["reward"]
        cause = "every rollout is wrong" if reward == 0 else "rollouts of a group are all right or all wrong"
        raise Permanent(
            f"RL step {self.state.global_step}: for rl.max_dead_steps={self._max_dead_steps} batches no group had both "
            f"a right and a wrong rollout, so there is no gradient (last batch: {cause}, mean reward {reward:.3f}). "
            "Use questions that the model solves sometimes, a larger rl.group_size, or check rl.max_completion_tokens "
            "and the answer format"
        )


def make_trainer(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[Prompt],
    reward: Callable[..., list[float]],
    job: RLJob,
    reporter: Reporter,
) -> GroupTrainer:
    """A trainer that holds the plan of the whole run; `train()` starts or resumes it."""
    config = job.config
    batches = plan(len(prompts), config.prompts_per_step, config.epochs, config.steps, config.seed)
    order = [prompts[index] for batch in batches for index in batch]
    columns = {
        "prompt": [prompt.text for prompt in order],
        "answer": [prompt.answer for prompt in order],
        "question_id": [prompt.question_id for prompt in order],
    }
    trainer = GroupTrainer(
        model=model,
        reward_funcs=reward,
        args=_arguments(job, len(batches)),
        train_dataset=Dataset.from_dict(columns),
        processing_class=tokenizer,
        reporter=reporter,
        max_dead_steps=config.max_dead_steps,
    )
    trainer.remove_callback(PrinterCallback)
    use_compact_head(trainer.model, temperature=config.temperature, outputs=("log_probs", "entropy"))
    return trainer


def rows_per_pass(wanted: int, rollouts: int) -> int:
    """The largest number of rollouts up to `wanted` that divides a batch of `rollouts`; 0 takes the whole batch."""
    limit = min(wanted or rollouts, rollouts)
    return next(rows for rows in range(limit, 0, -1) if rollouts % rows == 0)


def _arguments(job: RLJob, num_batches: int) -> GRPOConfig:
    config = job.config
    machine = machine_arguments(job)
    # Rollouts are not in a checkpoint, so one may only be written where the next step draws new ones.
    machine["save_steps"] = math.ceil(machine["save_steps"] / config.num_iterations) * config.num_iterations
    rollouts = config.prompts_per_step * config.group_size
    wanted = job.micro_batch_size or (0 if machine["use_cpu"] else _ROWS_PER_PASS_GPU)
    rows = rows_per_pass(wanted, rollouts)
    arguments = GRPOConfig(
        **machine,
        **config.trainer_arguments(num_batches * config.num_iterations),
        **_vllm(job, use_cpu=machine["use_cpu"]),
        per_device_train_batch_size=rows,
        gradient_accumulation_steps=rollouts // rows,
        steps_per_generation=rollouts // rows,
        num_generations=config.group_size,
        num_iterations=config.num_iterations,
        max_completion_length=config.max_completion_tokens,
        temperature=config.temperature,
        top_p=config.top_p,
        top_k=config.top_k,
        min_p=None,
        repetition_penalty=1.0,
        shuffle_dataset=False,
        beta=config.beta,
        epsilon=config.epsilon,
        epsilon_high=config.epsilon_high,
        delta=None,
        loss_type=config.loss_type,
        scale_rewards=config.scale_rewards,
        importance_sampling_level=config.importance_sampling_level,
        mask_truncated_completions=config.mask_truncated_completions,
        entropy_coef=config.entropy_coef,
        use_adaptive_entropy=False,
        top_entropy_quantile=config.top_entropy_quantile,
        off_policy_mask_threshold=None,
        use_bias_correction_kl=True,
        sync_ref_model=False,
        disable_dropout=True,
        cast_lm_head_to_fp32=False,
        log_completions=False,
    )
    if arguments.world_size > 1:
        raise Permanent("RL runs in one process; start it without a distributed launcher")
    return arguments


def _vllm(job: RLJob, *, use_cpu: bool) -> dict[str, Any]:
    """Rollouts by vLLM in the trainer's own process, asleep while it trains; not on a CPU."""
    if use_cpu or job.engine not in ("auto", "vllm"):
        return {"use_vllm": False}
    correction = job.config.sampler_correction
    return {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_enable_sleep_mode": True,
        "vllm_gpu_memory_utilization": job.vllm_memory_share,
        "vllm_tensor_parallel_size": 1,
        "vllm_max_model_length": job.config.max_prompt_tokens + job.config.max_completion_tokens,
        "vllm_importance_sampling_correction": correction != "none",
        "vllm_importance_sampling_mode": "sequence_mask" if correction == "none" else correction,
        "vllm_importance_sampling_clip_max": job.config.sampler_correction_max,
    }
