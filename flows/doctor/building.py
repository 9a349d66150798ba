"""Stage calls built at once, without Prefect and MLflow, and what was measured meanwhile."""

import contextlib
import statistics
import subprocess
import threading
from dataclasses import dataclass, field
from typing import Any

import psutil

from tasks.shared.training.config import GRPOSettings
from tasks.spine.stage.call import StageCall
from tasks.spine.stage.context import run_context
from tasks.spine.stage.gpus import visible_gpus
from tasks.spine.stage.stage import Build, ensure
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef

SAMPLE_EVERY_S = 0.25
MIB = 1 << 20
MOST_GAP: float = GRPOSettings.model_fields["max_sampler_gap"].default
"""Largest `sampler_gap` of a step. A training of more steps looks at several together before it stops."""


class PeakMemory:
    """The most memory that was in use within the block: of the GPUs, beyond what was there before, or of the children.

    Asked from outside of the workers, so that engines and CUDA itself are counted.
    """

    def __init__(self, on_gpu: bool) -> None:
        self._read = _gpu_mib if on_gpu else _children_mib
        self._stop = threading.Event()
        self._before_mib = self._most_mib = 0.0

    def __enter__(self) -> "PeakMemory":
        self._before_mib = self._most_mib = self._read()
        self._thread = threading.Thread(target=self._sample, daemon=True, name="peak-memory")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _sample(self) -> None:
        while not self._stop.wait(SAMPLE_EVERY_S):
            self._most_mib = max(self._most_mib, self._read())

    @property
    def gib(self) -> float:
        """Peak so far."""
        return (self._most_mib - self._before_mib) / 1024


def _gpu_mib() -> float:
    """Memory in use on the GPU with the most of it."""
    asked = ["nvidia-smi", f"--id={','.join(visible_gpus())}", "--query-gpu=memory.used"]
    asked.append("--format=csv,noheader,nounits")
    told = subprocess.run(asked, capture_output=True, text=True)
    return max((float(line) for line in told.stdout.splitlines() if line.strip().isdigit()), default=0.0)


def _children_mib() -> float:
    total = 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.NoSuchProcess):
            total += child.memory_info().rss
    return total / MIB


@dataclass
class Meter:
    """Watches one stage: what its worker reports, and a trainer that it can kill."""

    kill_after_step: int | None = None
    """SIGKILL the worker once it has reported a later step."""
    values: dict[str, float] = field(default_factory=dict)
    """Values beside the last progress line: tokens_per_s and others."""
    steps: list[dict[str, float]] = field(default_factory=list)
    """Metrics of a trainer's steps."""
    killed: bool = False
    _work: str = ""

    def started(self, build: Build) -> str | None:
        """Remember where the worker works, by which its process is known."""
        self._work = str(build.work)
        return None

    def progress(self, line: dict[str, Any]) -> None:
        """Keep the newest values."""
        self.values |= line["values"]

    def metrics(self, line: dict[str, Any]) -> None:
        """Keep a step's metrics, and kill the worker at its time."""
        self.steps.append(line["values"])
        if self.kill_after_step is None or self.killed or line["step"] <= self.kill_after_step:
            return
        self.killed = True
        for child in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.NoSuchProcess):
                if any(self._work in word for word in child.cmdline()):
                    child.kill()

    def finished(self, manifest: Manifest | None) -> None:
        """Nothing is to be done."""

    def median(self, name: str) -> float:
        """Median of a metric over the later half of the steps, when caches are warm."""
        return statistics.median(step[name] for step in self.steps[len(self.steps) // 2 :])

    def largest_gap(self, on_gpu: bool) -> dict[str, float]:
        """`sampler_gap` of the step where it is largest; nothing where vLLM wrote no rollouts, which it does on a GPU.

        Raises:
            RuntimeError: it is too large, or another engine wrote them on a GPU.
        """
        gaps = [step["sampler_gap"] for step in self.steps if "sampler_gap" in step]
        if gaps and max(gaps) > MOST_GAP:
            raise RuntimeError(f"sampler_gap {max(gaps):.3f} is above {MOST_GAP}: trained weights may not reach vLLM")
        # Where no group has an advantage, nothing is scored.
        if on_gpu and not gaps and any(step["zero_advantage_group_share"] < 1 for step in self.steps):
            raise RuntimeError("the rollouts were not written by vLLM")
        return {"sampler_gap": max(gaps)} if gaps else {}


@dataclass
class Builder:
    """Takes stage calls in Prefect's place, so that flows run as plain functions and build what they call."""

    kill_after_step: int | None = None
    meters: dict[str, Meter] = field(default_factory=dict)
    """What the last call of each stage said, by the stage's name."""

    def visit(self, call: StageCall) -> ArtifactRef:
        """The call's artifact, from the store or built now."""
        meter = self.meters[call.stage.name] = Meter(self.kill_after_step if call.stage.trains else None)
        return ensure(call, watcher=meter, settings=run_context().settings).manifest.ref
