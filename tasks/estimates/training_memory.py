"""Memory of a training pass.

16 bytes a weight that trains (float32 weights, gradients, two AdamW moments) and 2 more for bfloat16 copies under
autocast; frozen weights under adapters as they are stored; fused AdamW, which needs no copy at its step, and one graph
at a time, whose gradients are added as they come; where `ddp` averages gradients, 4 more for its buckets;
gradient checkpointing on GPUs; logits in the tiles of TRL's fused head; attention without a mask.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tasks.recipe.base import Recipe
from tasks.rmt.config import RMTTrainConfig
from tasks.shared.costs.devices import GIB
from tasks.shared.costs.training import adapter_layers, state_bytes, trained_weights
from tasks.shared.models.facts import ModelFacts
from tasks.shared.training.config import Optimization
from tasks.spine.store.runtime import Runtime

LARGER = "take a larger device or a smaller model"
HEAD_TILE = (4096, 32_768)
"""Tokens and columns of the fused head's logits."""


@dataclass(frozen=True)
class MemoryNeed:
    """Memory of one phase."""

    phase: str
    parts: Mapping[str, float]
    """Bytes by what they hold."""
    available: float
    """Bytes that the phase may take."""
    advice: str
    """Setting to change where it does not fit."""
    pass_tokens: int = 0
    """Tokens of a training pass."""
    most_tokens: int = 0
    """The most tokens that fit, 0 where none do or nothing is trained."""

    @property
    def needed(self) -> float:
        """Bytes at the peak."""
        return sum(self.parts.values())

    @property
    def fits(self) -> bool:
        """Whether the peak stays within what is available."""
        return self.needed <= self.available


def training_need(
    phase: str,
    recipe: Recipe,
    facts: ModelFacts,
    config: Optimization,
    longest: int,
    setting: str,
    default: int,
    available: float,
    lower: str,
) -> MemoryNeed:
    """Forward and backward pass of a trainer.

    Args:
        longest: tokens of the longest row, which is never parted.
        setting: field of the runtime that says how many tokens a pass takes.
        default: tokens where that is 0.
        lower: setting that decides on `longest`.
    """
    runtime = recipe.runtime
    asked = getattr(runtime, setting)
    tokens = max(asked or default, longest)
    fixed = sum(_passes(facts, config, 0, runtime).values())
    bytes_per_token = sum(_passes(facts, config, 1, runtime).values()) - fixed
    most = max(0, int((available - fixed) / bytes_per_token))
    if most >= longest:
        advice = f"lower runtime.{setting}={asked or f'0 (so {tokens})'} to {most}"
    elif fixed < available:
        advice = f"lower {lower}: not one row of that length fits"
    else:
        section = phase.partition(" ")[0]
        adapt = f"train adapters ({section}.lora.rank=64)"
        shard = "raise runtime.num_processes with runtime.distribution=fsdp2"
        ways = LARGER if config.lora else f"{LARGER}, {adapt}, or {shard}"
        advice = f"{ways}: weights, gradients and AdamW alone need {fixed / GIB:.1f} GiB a GPU"
    return MemoryNeed(phase, _passes(facts, config, tokens, runtime), available, advice, tokens, most)


def sharded(runtime: Runtime) -> dict[str, int]:
    """Processes that each part of the trainer's state is spread over; parts that are not named are whole in each."""
    parts = {
        "ddp": (),
        "deepspeed-zero2": ("gradients", "AdamW"),
        "fsdp2": ("weights", "gradients", "AdamW", "bfloat16 copies"),
        "deepspeed-zero3": ("weights", "gradients", "AdamW", "bfloat16 copies"),
    }
    return dict.fromkeys(parts[runtime.distribution], runtime.num_processes)


def trainer_bytes(facts: ModelFacts, config: Optimization, runtime: Runtime) -> dict[str, float]:
    """Bytes that a trainer holds, unsharded; `ddp` averages gradients in buckets, which it keeps beside them.

    A critic's moments are float64, and about four such matrices at once while it is fitted (4.3, measured on a CPU).
    """
    averages = runtime.distribution == "ddp" and runtime.num_processes > 1
    buckets = {"buckets": 4.0 * trained_weights(facts, config)} if averages else {}
    fitted = isinstance(config, RMTTrainConfig) and config.has_critic
    critic = {"critic": 4 * 8.0 * (facts.hidden_size + 1) * (facts.hidden_size + 2)} if fitted else {}
    return {**state_bytes(facts, config), **buckets, **critic}


def _passes(facts: ModelFacts, config: Optimization, tokens: int, runtime: Runtime) -> dict[str, float]:
    """Bytes on each device of training on `tokens` at a time."""
    width = 2 if config.dtype == "bfloat16" else 4
    queries = facts.num_attention_heads * facts.head_dim
    keys = facts.num_key_value_heads * facts.head_dim
    # The residual stream stays float32: four copies around two norms; the rest is in the pass's own precision.
    layer = 16 * facts.hidden_size + width * (4 * queries + 4 * keys + 5 * facts.intermediate_size)
    if config.lora:
        # Each adapter keeps its input and its inner product for its own gradients.
        layer += width * sum(inputs + config.lora.rank for inputs, _ in adapter_layers(facts, config.lora))
    checkpoints = tokens * facts.hidden_size * 4 * facts.num_hidden_layers
    tile = HEAD_TILE[0] * min(HEAD_TILE[1], facts.vocab_size) * width
    parts = {
        **trainer_bytes(facts, config, runtime),
        "activations": float(checkpoints + 2 * tokens * layer),
        "logits": float(tile + (0 if config.lora else 4 * facts.embedding) + 2 * tokens * facts.hidden_size * 4),
    }
    parted = sharded(runtime)
    return {name: size / parted.get(name, 1) for name, size in parts.items()}
