"""Devices that estimates are made for: data in `devices.yaml`, a finder for the one at hand, and speeds."""

from functools import cache
from pathlib import Path

import yaml
from pydantic import Field

from tasks.config import Frozen
from tasks.shared.models.facts import BYTES, ModelFacts
from tasks.spine.store.runtime import Runtime

DEVICES = Path(__file__).parent / "devices.yaml"
GPU_FOLDER = Path("/proc/driver/nvidia/gpus")
GIB = 1 << 30
CPU = "cpu-2core"
"""The entry for machines without a known GPU."""


class Device(Frozen):
    """One accelerator, or two CPU cores."""

    label: str
    """Name of the unit of hours."""
    matches: tuple[str, ...]
    """Parts of the driver's name for it."""
    memory_gib: float = Field(gt=0)
    """Memory that programs can have."""
    tflops: float = Field(gt=0)
    """Published dense matrix rate, 10^12 operations a second."""
    bandwidth_gb_s: float = Field(gt=0)
    """Published memory bandwidth."""
    training_share: float = Field(gt=0, le=1)
    """Share of the rate that training reaches, with 6 operations a weight and token counted (recomputation is not)."""
    forward_share: float = Field(gt=0, le=1)
    """Share of the rate that reading prompts and scoring reach."""
    bandwidth_share: float = Field(gt=0, le=1)
    """Share of the bandwidth that decoding reaches."""
    step_overhead_ms: float = Field(ge=0)
    """Time of a decoding step that the device stands idle."""
    start_s: float = Field(ge=0)
    """Seconds to start a worker, with loading and compiling."""

    @property
    def is_cpu(self) -> bool:
        """Whether float32 and the transformers engine are the defaults on it."""
        return self.label == "CPU"

    @property
    def memory_bytes(self) -> float:
        """Memory that programs can have."""
        return self.memory_gib * GIB

    def scale(self, facts: ModelFacts) -> float:
        """How much larger weights and caches are than in the model's own precision: CPUs work in float32."""
        return 4 / BYTES[facts.dtype] if self.is_cpu else 1

    def forward_s(self, facts: ModelFacts, tokens: float) -> float:
        """Seconds to read `tokens`: 2 operations a weight and token; those of attention itself are left out."""
        return 2 * facts.active * tokens / (self.tflops * 1e12 * self.forward_share)

    def training_s(self, operations: float) -> float:
        """Seconds of a training."""
        return operations / (self.tflops * 1e12 * self.training_share)

    def decoding_s(self, facts: ModelFacts, tokens: float, context: float, concurrency: float) -> float:
        """Seconds to write `tokens` in `concurrency` sequences at once, each `context` tokens long on average.

        A step multiplies every sequence's token with the weights and reads the weights once and every cache: the
        slower of the two counts, and both on a CPU, whose cores do one after the other.
        """
        moved = self.scale(facts) * (facts.stored_bytes + concurrency * context * facts.cache_bytes)
        computing = self.forward_s(facts, concurrency)
        moving = moved / (self.bandwidth_gb_s * 1e9 * self.bandwidth_share)
        step = computing + moving if self.is_cpu else max(computing, moving)
        return tokens / concurrency * (step + self.step_overhead_ms / 1e3)


@cache
def devices() -> dict[str, Device]:
    """All known devices by name."""
    return {name: Device.model_validate(values) for name, values in yaml.safe_load(DEVICES.read_text()).items()}


def device_named(name: str) -> Device:
    """A device by name or label, in any case. Raises ValueError listing the known ones."""
    for key, device in devices().items():
        if name.lower() in (key, device.label.lower()):
            return device
    raise ValueError(f"device {name!r} is not in the table; there are: {', '.join(devices())}")


def device_of(runtime: Runtime, sized_for: str) -> Device:
    """Device that a recipe runs on: the CPU if it says so, else the GPU at hand, else what it is sized for or a CPU."""
    if runtime.device == "cpu":
        return devices()[CPU]
    return _at_hand() or device_named(sized_for or CPU)


def _at_hand() -> Device | None:
    """The first known GPU that the NVIDIA driver lists; asking torch would cost seconds."""
    for file in sorted(GPU_FOLDER.glob("*/information")):
        for device in devices().values():
            if any(name in file.read_text() for name in device.matches):
                return device
    return None
