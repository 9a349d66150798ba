"""The optimiser settings that both trainers share; every one of them is part of a stage's identity."""

from typing import Literal

from pydantic import Field

from tasks.config import Frozen

Schedule = Literal["constant", "constant_with_warmup", "linear", "cosine"]


class Optimization(Frozen):
    """AdamW and its schedule, spelled out so that no default of a library is ever implied."""

    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    schedule: Schedule
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
    """Added to the denominator of the update (ours)."""
    max_grad_norm: float = Field(1.0, ge=0)
    """Gradients are scaled down to this global norm; 0 leaves them as they are (ours)."""
    dtype: Literal["float32", "bfloat16"] = "float32"
    """Of forward and backward passes: `bfloat16` is autocast. Weights and optimiser state are float32 in both, because
    steps of 1e-6 vanish in bfloat16 (ours)."""
    seed: int = Field(0, ge=0)
    """Seed of data order, sampling and dropout (ours)."""

    def trainer_arguments(self, total_steps: int) -> dict[str, float | int | str | bool]:
        """The matching fields of `transformers.TrainingArguments` for a run of `total_steps` optimiser steps."""
        return {
            "learning_rate": self.learning_rate,
            "lr_scheduler_type": self.schedule,
            "warmup_steps": round(self.warmup_share * total_steps),
            "weight_decay": self.weight_decay,
            "optim": "adamw_torch",
            "adam_beta1": self.adam_beta1,
            "adam_beta2": self.adam_beta2,
            "adam_epsilon": self.adam_epsilon,
            "max_grad_norm": self.max_grad_norm,
            "bf16": self.dtype == "bfloat16",
            "fp16": False,
            "seed": self.seed,
        }
