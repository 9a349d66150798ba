"""What the parent tells a training worker besides the stage's config: places and machine settings."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from tasks.config import Frozen

if TYPE_CHECKING:
    from tasks.spine.stage.stage import Build


class Place(Frozen):
    """Where a trainer reads, writes and runs. Nothing here may change what it produces."""

    model: Path
    """Folder of the model to start from."""
    data: Path
    """Parquet file with the training rows."""
    out: Path
    """Folder that receives the trained model."""
    checkpoints: Path
    """Folder that survives a crash; training resumes from the last whole checkpoint in it."""
    device: Literal["auto", "cpu", "cuda"] = "auto"
    """`auto` takes CUDA where torch sees it."""
    micro_batch_size: int = Field(0, ge=0)
    """Rows per forward pass; 0 lets the stage choose. Gradient accumulation keeps the global batch."""
    save_every_steps: int = Field(50, ge=1)
    """Optimiser steps between checkpoints."""
    num_threads: int = Field(0, ge=0)
    """CPU threads; 0 leaves the choice to torch."""
    trust_remote_code: bool = False
    """Run model code that ships with a checkpoint."""


class RolloutPlace(Place):
    """What a trainer that writes rollouts needs besides."""

    engine: Literal["auto", "transformers", "vllm", "openai"] = "auto"
    """What writes rollouts; `auto` is vLLM on a GPU and transformers on a CPU."""
    vllm_memory_share: float = Field(0.3, gt=0, le=1)
    """Share of GPU memory that vLLM takes beside the trainer."""
    vllm_tensor_parallel_size: int = Field(1, ge=1)
    """GPUs that one vLLM engine spans; a divisor of the number of processes."""


def place_of(build: "Build", data: Path) -> dict[str, Any]:
    """The fields of `Place` for a stage that trains its parent `model` on the file `data`."""
    runtime = build.runtime
    return {
        "model": build.path("model"),
        "data": data,
        "out": build.out,
        "checkpoints": build.work / "checkpoints",
        "device": runtime.device,
        "micro_batch_size": runtime.micro_batch_size,
        "save_every_steps": runtime.save_every_steps,
        "num_threads": runtime.num_threads,
        "trust_remote_code": runtime.trust_remote_code,
    }


def rollout_place_of(build: "Build", data: Path) -> dict[str, Any]:
    """The fields of `RolloutPlace`, for a stage as in `place_of`."""
    runtime = build.runtime
    return {
        **place_of(build, data),
        "engine": runtime.engine,
        "vllm_memory_share": runtime.rollout_gpu_memory_utilization,
        "vllm_tensor_parallel_size": runtime.rollout_tensor_parallel_size,
    }
