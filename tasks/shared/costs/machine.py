"""A model on a device, and what work of each kind costs there: tokens, operations, hours, disk.

Operations are 2 a weight and token that is read or written and 6 a weight and token that is trained (4 where the weight
is frozen and gradients pass through it alone); attention's own are left out, which is under a tenth of them at the
lengths of mathematical solutions. Hours come from `devices.yaml`.
"""

from dataclasses import dataclass

from tasks.shared.costs.devices import Device
from tasks.shared.costs.engine_memory import VLLM_BATCH_TOKENS, VLLM_SEQUENCES, cache_tokens
from tasks.shared.costs.lengths import Texts
from tasks.shared.costs.training import adapter_weights, trained_weights, training_operations
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.facts import ModelFacts, model_facts
from tasks.shared.training.config import GRPOSettings, Optimization
from tasks.spine.store.runtime import Runtime

STORED_PER_TOKEN = 1.6
"""Bytes of text in compressed Parquet (ours)."""
HASHED_PER_S = 5e8
"""Bytes of a model's files that are hashed when it is first met; its download is not counted (ours)."""
ROLLOUT_TAIL = 1.5
"""How much longer a rollout batch lasts than its mean length asks, because it waits for its longest (ours)."""


@dataclass(frozen=True)
class StageEstimate:
    """Expected cost of one run of a stage."""

    device: str
    """Device that the hours are counted on."""
    hours: float
    tokens: float = 0
    """Written by the model, or trained on."""
    what: str = ""
    """Kind of the tokens: generated, scored, trained."""
    flops: float = 0
    disk_bytes: float = 0
    """Size of the artifact."""
    scratch_bytes: float = 0
    """On top while the stage runs."""

    @property
    def text(self) -> str:
        """One line for people."""
        spent = f"{amount(self.tokens)} tokens {self.what}" if self.tokens else ""
        return ", ".join(filter(None, (f"estimate: {duration(self.hours, self.device)}", spent)))


def amount(value: float) -> str:
    """A count in three digits: 850, 12 k, 3.4 M."""
    for size, unit in ((1e18, " E"), (1e15, " P"), (1e12, " T"), (1e9, " G"), (1e6, " M"), (1e3, " k")):
        if value >= size:
            return f"{value / size:.3g}{unit}"
    return f"{value:.0f}"


def duration(hours: float, device: str) -> str:
    """Device-hours, in minutes where that reads better."""
    if hours < 1 / 60:
        return "under a minute"
    return f"{hours * 60:.0f} {device}-min" if hours < 1 else f"{hours:.1f} {device}-hours"


class Machine:
    """A model on a device, and the cost of each kind of work that stages are made of."""

    def __init__(self, model: ModelConfig, runtime: Runtime, device: Device) -> None:
        """Raises FactsUnknown where the model's shape is not known."""
        self.model, self.runtime, self.device = model, runtime, device
        self.facts: ModelFacts = model_facts(model)
        self.vllm = runtime.engine == "vllm" or (runtime.engine == "auto" and not device.is_cpu)

    def imported(self) -> StageEstimate:
        """Hashing the base model."""
        return StageEstimate(self.device.label, self.facts.stored_bytes / HASHED_PER_S / 3600)

    def table(self, disk_bytes: float) -> StageEstimate:
        """Writing a table."""
        return StageEstimate(self.device.label, disk_bytes / 20e6 / 3600, disk_bytes=disk_bytes)

    def read(self, tokens: float, what: str) -> StageEstimate:
        """A forward pass over texts."""
        seconds = self.device.forward_s(self.facts, tokens)
        flops = 2 * self.facts.active * tokens
        return self.made(seconds, tokens=tokens, what=what, flops=flops, disk_bytes=tokens * STORED_PER_TOKEN)

    def sampled(self, texts: Texts, draws: int) -> StageEstimate:
        """Completions for a measurement; the `draws` completions of a prompt share its cache."""
        read = texts.count * texts.prompt / draws
        return self.made(
            self.device.forward_s(self.facts, read) + self.decoding_s(texts),
            tokens=texts.tokens,
            what="generated",
            flops=2 * self.facts.active * (texts.tokens + read),
            disk_bytes=texts.tokens * STORED_PER_TOKEN,
        )

    def trained(self, tokens: float, config: Optimization) -> StageEstimate:
        """Cross-entropy on `tokens`, every epoch counted."""
        operations = training_operations(self.facts, config, tokens)
        return self.made(
            self.device.training_s(operations),
            tokens=tokens,
            what="trained",
            flops=operations,
            disk_bytes=self.model_bytes(config),
            scratch_bytes=self.checkpoints(config),
        )

    def reinforced(
        self, texts: Texts, config: GRPOSettings, batch: float, joint_tokens: float = 0, live_share: float = 1
    ) -> StageEstimate:
        """Rollouts, the updates, and one pass ahead of more than one update where vLLM wrote the rollouts.

        Args:
            batch: rollouts that are asked for at once.
            joint_tokens: trained on besides the rollouts.
            live_share: share of rollouts in groups with an advantage; the others are not passed through.
        """
        tokens = texts.all_tokens
        updates = training_operations(self.facts, config, (live_share * tokens + joint_tokens) * config.num_iterations)
        reread = tokens if self.vllm and config.num_iterations > 1 else 0
        seconds = (
            ROLLOUT_TAIL * self.decoding_s(texts, batch=batch)
            + self.device.forward_s(self.facts, reread)
            + self.device.training_s(updates)
        )
        return self.made(
            seconds,
            tokens=texts.tokens,
            what="rolled out",
            flops=self.facts.active * (2 * texts.tokens + 2 * reread) + updates,
            disk_bytes=self.model_bytes(config),
            scratch_bytes=self.checkpoints(config),
        )

    def decoding_s(self, texts: Texts, batch: float | None = None) -> float:
        """Seconds to write completions; `batch` is how many are asked for at once, in RL."""
        if not texts.count:
            return 0.0
        context = texts.prompt + texts.completion / 2
        runtime = self.runtime
        at_once = float(VLLM_SEQUENCES) if self.vllm else runtime.batch_size
        if self.vllm and not self.device.is_cpu:
            share, read = runtime.gpu_memory_utilization, VLLM_BATCH_TOKENS
            if batch is not None:
                share, read = runtime.rollout_gpu_memory_utilization, VLLM_BATCH_TOKENS // 2
            held = cache_tokens(self.facts, self.device, share, read)
            at_once = min(at_once, max(1.0, held / context))
        return self.device.decoding_s(self.facts, texts.tokens, context, min(at_once, batch or texts.count))

    def model_bytes(self, config: Optimization) -> float:
        """A trained model, with float32 adapters beside it where there are any."""
        return self.facts.stored_bytes + (4.0 * adapter_weights(self.facts, config.lora) if config.lora else 0.0)

    def checkpoints(self, config: Optimization) -> float:
        """Float32 weights that train and both AdamW moments; a new one is whole before the old one goes."""
        return 2 * 12.0 * trained_weights(self.facts, config)

    def made(self, seconds: float, **values: float | str) -> StageEstimate:
        """An estimate that includes the start of a worker."""
        hours = (seconds + self.device.start_s) / 3600
        return StageEstimate(self.device.label, hours, **values)
