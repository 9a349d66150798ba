"""Settings that trainers share: those of identity, and what a worker needs besides (places, machine).

Nothing here imports a framework: flows read it, and workers get it as JSON.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, Field

from tasks.config import ADDED, Frozen, RecipeSeed

if TYPE_CHECKING:
    from tasks.spine.stage.stage import Build

IGNORED = -100
"""Label of a token that carries no loss: what torch's cross-entropy leaves out."""
SFT_TOKENS = {"cpu": 2048, "cuda": 16_384}
"""Tokens of a training pass on examples or texts, by device, where the runtime does not say. Ours."""
RL_TOKENS = {"cpu": 1024, "cuda": 16_384}
"""The same of a pass on rollouts, and of one that scores them without gradients."""
LRSchedule = Literal["constant", "constant_with_warmup", "linear", "cosine"]
ALL_LINEAR = "all-linear"
"""Targets of adapters: every linear layer but the output layer."""
_Layers = Annotated[tuple[str, ...], Field(min_length=1), AfterValidator(lambda names: tuple(sorted(set(names))))]


class LoRA(Frozen):
    """Low-rank adapters (arXiv 2106.09685): W + alpha / rank * B A, of which A and B are trained and W is frozen.

    They take about ten times the learning rate of full training (Schulman et al. 2025, "LoRA Without Regret").
    """

    rank: int = Field(64, ge=1)
    """Inner width of A and B (ours)."""
    alpha: float = Field(32, gt=0)
    """Scale of their product, divided by the rank, so that one learning rate serves many ranks ("LoRA Without
    Regret")."""
    targets: Literal["all-linear"] | _Layers = ALL_LINEAR
    """Layers by the last part of their names (`q_proj`, `down_proj`, ...). `all-linear`, every linear layer but the
    output layer, learns more than attention alone at equal size ("LoRA Without Regret")."""


class Optimization(Frozen):
    """AdamW and its schedule, spelled out so that no default of a library is ever implied."""

    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    schedule: LRSchedule
    """Shape of the learning rate after warm-up; `linear` and `cosine` end at 0."""
    warmup_share: float = Field(ge=0, lt=1)
    """Share of all optimiser steps over which the learning rate rises from 0 (ours)."""
    weight_decay: float = Field(0.0, ge=0)
    """Decoupled weight decay; norms and biases are exempt (ours)."""
    adam_beta1: float = Field(0.9, ge=0, lt=1)
    """Decay of the gradient mean (ours)."""
    adam_beta2: float = Field(0.999, ge=0, lt=1)
    """Decay of the squared-gradient mean (ours)."""
    adam_epsilon: float = Field(1e-8, gt=0)
    """Term added to the denominator of the update (ours)."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradients are scaled down to this global norm; 0 leaves them as they are (ours)."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Precision of forward and backward passes: `bfloat16` is autocast. Weights that train and optimiser state are
    float32 in both, because steps of 1e-6 vanish in bfloat16 (ours)."""
    seed: RecipeSeed = 0
    """Seed of data order, sampling, dropout and fresh adapters (ours)."""
    lora: Annotated[LoRA | None, ADDED] = None
    """Low-rank adapters to train on the frozen model; None trains all weights."""

    @property
    def holds_as_stored(self) -> bool:
        """Whether weights are held in the precision of their files: frozen ones are rounded by no update."""
        return self.lora is not None and self.dtype == "bfloat16"

    def trainer_arguments(self, total_steps: int) -> dict[str, float | int | str | bool]:
        """The matching fields of `transformers.TrainingArguments` for a run of `total_steps` optimiser steps."""
        return {
            "learning_rate": self.learning_rate,
            "lr_scheduler_type": self.schedule,
            "warmup_steps": round(self.warmup_share * total_steps),
            "weight_decay": self.weight_decay,
            "adam_beta1": self.adam_beta1,
            "adam_beta2": self.adam_beta2,
            "adam_epsilon": self.adam_epsilon,
            "max_grad_norm": self.max_grad_norm,
            "bf16": self.dtype == "bfloat16",
            "fp16": False,
            "seed": self.seed,
        }


class TRLSettings(Frozen):
    """Settings of GRPO that keep the names of TRL's `GRPOConfig`: few runs turn them."""

    top_p: float = Field(1.0, gt=0, le=1)
    """Nucleus of rollouts; below 1 the trained policy is not the sampled one (ours)."""
    top_k: int = Field(0, ge=0)
    """Likeliest tokens that rollouts are drawn from; 0 keeps all (ours)."""
    scale_rewards: Literal["group", "batch", "none", "mean"] = "group"
    """What advantages r - mean are divided by: the group's standard deviation (GRPO), the batch's, nothing, or the
    group's mean reward, (r - mean) / (mean + 1e-4), as in MaxRL (arXiv 2602.02710): `tasks.rl.policy_loss`."""
    epsilon: float = Field(0.2, gt=0, lt=1)
    """Lower clip of the probability ratio (GRPO)."""
    epsilon_high: float = Field(0.2, gt=0)
    """Upper clip of the probability ratio; DAPO has 0.28 (ours)."""
    importance_sampling_level: Literal["token", "sequence"] = "token"
    """Unit of a probability ratio; `sequence` is GSPO (arXiv 2507.18071) (ours)."""
    entropy_coef: float = Field(0.0, ge=0)
    """Weight of the mean entropy of the step's tokens, which is taken off the loss (ours: none)."""
    top_entropy_quantile: float = Field(1.0, gt=0, le=1)
    """Share of the step's tokens, by entropy, that carry loss (arXiv 2506.01939); 1 is all (ours)."""
    vllm_importance_sampling_correction: bool = True
    """Correct for vLLM and the trainer disagreeing on probabilities; without vLLM they do not (ours)."""
    vllm_importance_sampling_mode: Literal["sequence_mask", "sequence_truncate", "token_mask", "token_truncate"] = (
        "sequence_mask"
    )
    """Form of that correction (ours)."""
    vllm_importance_sampling_clip_max: float = Field(3.0, gt=1)
    """Bound of its ratio (ours)."""

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed, with what entropy is taken over: it was a pass once, by TRL, and is the whole step."""
        fields = super().identity_payload()
        by_entropy = self.entropy_coef > 0 or self.top_entropy_quantile < 1
        return {**fields, "entropy_over": "step"} if by_entropy else fields


class GRPOSettings(Optimization):
    """GRPO (arXiv 2402.03300): groups of rollouts, and advantages (r - mean) / (std + 1e-4) within each group.

    A subclass states the defaults that its method's paper gives. Arguments of TRL that no field names are fixed in
    `tasks.rl.arguments.FIXED`.
    """

    group_size: int = Field(ge=2)
    """Rollouts per prompt."""
    num_iterations: int = Field(1, ge=1)
    """Optimiser steps per rollout batch, mu of GRPO's algorithm 1 (ours: 1, on-policy)."""
    temperature: float = Field(1.0, gt=0)
    """Temperature of rollouts, and of the policy whose probabilities are trained (ours)."""
    max_completion_tokens: int = Field(ge=1)
    """Longest rollout; one that reaches it without an end is cut, and right in no way."""
    mask_truncated_completions: bool = False
    """Keep cut rollouts out of the loss, as DAPO does; their reward stays in the group's mean (ours)."""
    loss_type: Literal["grpo", "dr_grpo", "dapo", "cispo"] = "dapo"
    """How token losses are averaged: per sequence (arXiv 2402.03300), by the constant `max_completion_tokens`
    (arXiv 2503.20783), over all tokens of the batch (arXiv 2503.14476), or that with clipped weights
    (arXiv 2506.13585) (ours)."""
    beta: float = Field(0.0, ge=0)
    """Weight of the KL divergence from the starting model."""
    max_zero_advantage_steps: int = Field(50, ge=1)
    """Consecutive batches in which every group's rollouts have one reward before the run stops: every advantage is 0
    then, and there is no gradient. The run ends well where all rollouts are right, and fails elsewhere (ours)."""
    max_sampler_gap: float = Field(0.2, gt=0)
    """Mean difference of a token's log-probability between vLLM and the trainer, nats, above which in five consecutive
    batches the run stops: trained weights may not reach the engine then (ours; bfloat16 alone makes hundredths)."""
    trl: TRLSettings = TRLSettings()
    """What keeps TRL's names, e.g. `rl.trl.epsilon_high`."""


class TrainJob(Frozen):
    """Paths and machine settings of one training. Nothing here may change what it produces."""

    model: Path
    """Folder of the model to start from."""
    model_name: str = ""
    """Its name in the store, which adapters keep."""
    data: Path
    """Parquet file with the training rows."""
    out: Path
    """Folder that receives the trained model."""
    checkpoints: Path
    """Folder that survives a crash; training resumes from the last whole checkpoint in it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes CUDA where torch sees it."""
    sft_micro_batch_tokens: int = Field(0, ge=0)
    """Tokens of a pass on examples or texts; 0 takes `SFT_TOKENS`. Accumulated gradients keep the global batch."""
    save_every_steps: int = Field(50, ge=1)
    """Optimiser steps between checkpoints."""
    num_threads: int = Field(0, ge=0)
    """CPU threads; 0 leaves the choice to torch."""
    compile_backend: str = ""
    """Backend of `torch.compile` for the model's layers; empty: none."""
    trust_remote_code: bool = False
    """Run model code that ships with a checkpoint."""


class RolloutJob(TrainJob):
    """Paths and machine settings of a training that writes rollouts."""

    engine: Literal["auto", "transformers", "vllm", "openai"] = "auto"
    """Engine that writes rollouts; `auto` is vLLM on a GPU and transformers on a CPU."""
    rl_micro_batch_tokens: int = Field(0, ge=0)
    """Tokens of a pass on rollouts; 0 takes `RL_TOKENS`."""
    vllm_memory_share: float = Field(0.3, gt=0, le=1)
    """Share of GPU memory that vLLM takes beside the trainer."""
    vllm_tensor_parallel_size: int = Field(1, ge=1)
    """GPUs that one vLLM engine spans; a divisor of the number of processes."""


def train_job_fields(build: "Build", data: Path) -> dict[str, Any]:
    """The fields of `TrainJob` for a stage that trains its parent `model` on the file `data`."""
    runtime = build.runtime
    return {
        "model": build.path("model"),
        "model_name": str(build.parents["model"]),
        "data": data,
        "out": build.out,
        "checkpoints": build.work / "checkpoints",
        "device": runtime.device,
        "sft_micro_batch_tokens": runtime.sft_micro_batch_tokens,
        "save_every_steps": runtime.save_every_steps,
        "num_threads": runtime.num_threads,
        "compile_backend": runtime.compile_backend,
        "trust_remote_code": runtime.trust_remote_code,
    }


def rollout_job_fields(build: "Build", data: Path) -> dict[str, Any]:
    """The fields of `RolloutJob` for a stage that trains its parent `model` with rollouts, on the file `data`."""
    runtime = build.runtime
    return {
        **train_job_fields(build, data),
        "engine": runtime.engine,
        "rl_micro_batch_tokens": runtime.rl_micro_batch_tokens,
        "vllm_memory_share": runtime.rollout_gpu_memory_utilization,
        "vllm_tensor_parallel_size": runtime.rollout_tensor_parallel_size,
    }
