"""How much the smoke run does, on a CPU and on a GPU: enough to measure, little enough to take seconds (all ours)."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

LIMIT_S = 360.0
"""On a GPU the whole smoke run takes no longer."""
SAVE_EVERY_STEPS = 5


@dataclass(frozen=True)
class Size:
    """How much is done on a kind of machine."""

    device: Literal["cpu", "cuda"]
    dtype: str
    """Precision of generation and of forward and backward passes."""
    shape: Mapping[str, int]
    """Fields by which the model that SFT trains differs from the embedded one, in its config.json."""
    questions: int
    batch_size: int
    epochs: int

    def shared(self) -> dict[str, Any]:
        """Overrides of both methods' recipes."""
        return {
            "rl.dtype": self.dtype,
            "runtime.device": self.device,
            "runtime.dtype": self.dtype,
            "runtime.save_every_steps": SAVE_EVERY_STEPS,
            "runtime.timeout_s": LIMIT_S,
        }

    def polya(self) -> dict[str, Any]:
        """Overrides of `tiny-cpu`."""
        return self.shared() | {
            "questions.tiny.count": self.questions,
            "filter.scorer": {"type": "none"},
            "dataset.min_rows": 1,
            "midtrain.batch_size": self.batch_size,
            "midtrain.epochs": self.epochs,
            "midtrain.dtype": self.dtype,
            "rl_questions.tiny.count": 16,
            "rl.steps": 2,
            "rl.prompts_per_step": 4,
        }

    def rmt(self) -> dict[str, Any]:
        """Overrides of `tiny-cpu-rmt`."""
        return self.shared() | {
            "texts.tiny.count": 60,
            "texts.evaluation_documents": 20,
            "schedule.steps": 3,
            "schedule.positions_per_step": 4,
            "rmt_train.group_size": 4,
            "rmt_train.dtype": self.dtype,
        }


ON_CPU = Size("cpu", "float32", {}, questions=12, batch_size=4, epochs=4)
ON_GPU = Size(
    "cuda",
    "bfloat16",
    # 348 million weights.
    {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 20,
        "num_attention_heads": 16,
        "num_key_value_heads": 8,
        "head_dim": 64,
        "vocab_size": 32_768,
    },
    questions=200,
    batch_size=256,
    epochs=12,
)
