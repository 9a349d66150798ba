"""TRL's `GRPOConfig` made from the project's settings, and the project's metrics from TRL's."""

import math
from collections.abc import Sequence
from typing import Any

from trl import GRPOConfig

from tasks.errors import Permanent
from tasks.rl.policy_loss import GAP, RATIO_MEAN, RATIO_MIN
from tasks.shared.training.config import GRPOSettings, RolloutJob
from tasks.shared.training.distributed import check_share, sharding, world_size
from tasks.shared.training.models import machine_arguments
from tasks.shared.verification.verdict import OUTCOMES

FIXED: dict[str, Any] = {
    "min_p": None,
    "repetition_penalty": 1.0,
    "log_completions": False,
    "delta": None,
    "use_adaptive_entropy": False,
    "off_policy_mask_threshold": None,
    "use_bias_correction_kl": True,
    "sync_ref_model": False,
    "disable_dropout": True,
    "cast_lm_head_to_fp32": False,
}
"""Arguments of TRL that no setting decides (ours): spelled out, because TRL may move its defaults."""
BY_MEAN = "mean"
"""Value of `scale_rewards` that TRL has not: `tasks.rl.policy_loss` divides what it leaves undivided."""

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
    GAP: "sampler_gap",
    RATIO_MEAN: "importance_ratio",
    RATIO_MIN: "importance_ratio_min",
}
"""Metrics that are reported: TRL's name to the project's. Entropy is that of the rollouts that move the policy;
`kl` and `clip_share` are means over their passes. `sampler_gap` is the mean difference of a token's log-probability
between vLLM and the trainer: large when weights did not reach vLLM; `importance_ratio` is the correction, mean and
least."""
METRICS = {**GRPO_METRICS, **{f"verdict/{name}": f"verdict_{name}" for name in OUTCOMES}}


def grpo_arguments(
    job: RolloutJob,
    config: GRPOSettings,
    *,
    num_batches: int,
    prompts_per_batch: int,
    longest_prompt: int,
    batch_setting: str,
    stop: Sequence[str] = (),
    rollouts: bool = True,
) -> GRPOConfig:
    """TRL's arguments for a run of `num_batches` rollout batches.

    Args:
        longest_prompt: tokens of the longest prompt that rollouts continue.
        batch_setting: the setting that `prompts_per_batch` comes from, for messages.
        stop: texts that end a rollout.
        rollouts: whether any rollouts are written.

    Raises:
        Permanent: a batch that does not fall into whole groups for each process or has a single rollout, rollouts that
            the processes cannot write, or a device that is not there.
    """
    check_share(prompts_per_batch, batch_setting)
    if prompts_per_batch * config.group_size < 2:
        raise Permanent(
            f"{batch_setting}={prompts_per_batch} with one rollout each is a batch of one, whose reward is like no "
            f"other; set {batch_setting} to 2 or more"
        )
    machine = machine_arguments(job)
    # Rollouts are not in a checkpoint, so one may only be written where the next step draws new ones.
    machine["save_steps"] = math.ceil(machine["save_steps"] / config.num_iterations) * config.num_iterations
    on_gpu = rollouts and not machine["use_cpu"] and job.engine in ("auto", "vllm")
    if rollouts and not on_gpu and sharding():
        raise Permanent(
            f"rollouts without vLLM need the whole model in each process, but {sharding()} shards it; set "
            "runtime.engine=vllm, or runtime.distribution=ddp"
        )
    arguments = {
        **machine,
        **config.trainer_arguments(num_batches * config.num_iterations),
        **(_vllm(job, config, longest_prompt, stop) if on_gpu else {"use_vllm": False}),
        # One whole batch: `PolicyLoss` parts it into passes, by tokens.
        "per_device_train_batch_size": prompts_per_batch * config.group_size // world_size(),
        "gradient_accumulation_steps": 1,
        "steps_per_generation": 1,
        "num_generations": config.group_size,
        "shuffle_dataset": False,
        "max_completion_length": config.max_completion_tokens,
        "temperature": config.temperature,
        "num_iterations": config.num_iterations,
        "beta": config.beta,
        "loss_type": config.loss_type,
        "mask_truncated_completions": config.mask_truncated_completions,
    }
    if config.trl.scale_rewards == BY_MEAN:
        arguments["scale_rewards"] = "none"
    arguments = {**FIXED, **config.trl.model_dump(), **arguments}
    return GRPOConfig(**arguments) if config.group_size > 1 else _groups_of_one(arguments, prompts_per_batch)


def _groups_of_one(arguments: dict[str, Any], batch: int) -> GRPOConfig:
    """Arguments for one rollout of each prompt.

    TRL refuses groups of one, but only here; its trainer takes the batch for what is to have different rewards.
    """
    found = GRPOConfig(**{**arguments, "num_generations": batch, "scale_rewards": "batch"})
    found.num_generations = 1
    return found


def _vllm(job: RolloutJob, config: GRPOSettings, longest_prompt: int, stop: Sequence[str]) -> dict[str, Any]:
    """Arguments for rollouts by vLLM in the trainer's own processes, asleep while they train.

    Raises:
        Permanent: the processes do not fall into equal groups of the size that an engine spans.
    """
    if world_size() % job.vllm_tensor_parallel_size:
        raise Permanent(
            f"runtime.rollout_tensor_parallel_size={job.vllm_tensor_parallel_size} does not divide "
            f"runtime.num_processes={world_size()}; each vLLM engine spans that many of the training's processes"
        )
    return {
        "use_vllm": True,
        "vllm_mode": "colocate",
        "vllm_enable_sleep_mode": True,
        "vllm_gpu_memory_utilization": job.vllm_memory_share,
        "vllm_tensor_parallel_size": job.vllm_tensor_parallel_size,
        "vllm_max_model_length": longest_prompt + config.max_completion_tokens,
        # TRL's default refuses models that vLLM runs by way of transformers, after they have generated so.
        "vllm_model_impl": "auto",
        "trust_remote_code": job.trust_remote_code,
        "generation_kwargs": {"stop": list(stop)} if stop else None,
    }
