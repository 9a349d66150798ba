"""The smoke run: every kind of work once, by the stages' own flows and workers, at a size that takes seconds."""

import shutil
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from flows.doctor.building import Builder, Meter, PeakMemory
from flows.doctor.expected import expected_gib, model_flops_share
from flows.doctor.finding import Finding, NothingToLookAt, Numbers, look
from flows.doctor.sizes import LIMIT_S, ON_CPU, ON_GPU, SAVE_EVERY_STEPS, Size
from flows.stages.dataset import dataset
from flows.stages.generate import generate
from flows.stages.midtrain import midtrain
from flows.stages.rl import rl
from flows.stages.rmt.rmt_train import rmt_train
from tasks.shared.models.random_weights import write_random_llama
from tasks.shared.models.resolve import SHIPPED
from tasks.shared.training.accelerate import SHIPPED as LAUNCHES
from tasks.spine.stage.context import run_context, run_context_with
from tasks.spine.stage.launch import WorkerFailed
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.settings import Settings

REMEDY = "read the log that this line names; what was run stays in doctor/ under MIDTRAIN_HOME"
ROUNDING = 0.02
"""Share by which the last losses of two trainings may differ that sum in another order (ours)."""


def smoke_run(settings: Settings, on_gpu: bool) -> Iterator[Finding]:
    """A finding for each kind of work, as soon as it is done; then one for the time that all took."""
    home = settings.root / "doctor"
    shutil.rmtree(home, ignore_errors=True)
    began, failed = time.monotonic(), False
    with run_context_with(settings=Settings(home=home, store=str(home / "store"), tracking_uri="")):
        for finding in _Smoke(home, ON_GPU if on_gpu else ON_CPU).findings():
            failed |= finding.verdict == "FAIL"
            yield finding
    yield look("time", lambda: _in_time(time.monotonic() - began, on_gpu), "look for the slowest line above")
    if not failed:
        shutil.rmtree(home, ignore_errors=True)


def _in_time(seconds: float, on_gpu: bool) -> tuple[str, Numbers]:
    if on_gpu and seconds > LIMIT_S:
        raise TimeoutError(f"{seconds:.0f} s, longer than {LIMIT_S:.0f}")
    return f"{seconds:.0f} s", {"seconds": round(seconds, 1)}


@dataclass(frozen=True)
class _Training:
    """A training that was run."""

    model: Manifest
    meter: Meter
    overrides: dict[str, Any]
    peak_gib: float

    @property
    def tokens_per_s(self) -> float:
        """Speed once caches are warm."""
        return self.meter.median("tokens_per_s")


class _Smoke:
    """Kinds of work, which share the questions, the samples and the dataset."""

    def __init__(self, home: Path, size: Size) -> None:
        self._home, self._size, self._on_gpu = home, size, size.device == "cuda"
        self._polya, self._rmt = size.polya(), size.rmt()

    def findings(self) -> Iterator[Finding]:
        """What became of each kind of work, in turn."""
        yield look("generation", self._generation, REMEDY)
        yield look("SFT packed", lambda: self._sft("packed"), REMEDY)
        yield look("SFT by length", lambda: self._sft("length_grouped"), REMEDY)
        yield look("kill and resume", self._resume, REMEDY)
        yield look("FSDP2", self._sharded, REMEDY)
        yield look("GRPO", lambda: self._reinforced("rl", rl, "tiny-cpu", self._polya), REMEDY)
        yield look("RMT", lambda: self._reinforced("rmt_train", rmt_train, "tiny-cpu-rmt", self._rmt), REMEDY)

    def _run(self, flow: Any, builder: Builder | None = None, **parameters: Any) -> tuple[Manifest, Builder]:
        """What a stage's flow makes, each stage that it needs included, and what they reported."""
        builder = builder or Builder()
        with run_context_with(visitor=builder):
            ref = flow.fn(**parameters)
        return run_context().store.manifest(ref), builder

    def _generation(self) -> tuple[str, Numbers]:
        made, builder = self._run(generate, recipe="tiny-cpu", overrides=self._polya)
        numbers = {"samples": made.rows["samples"], "tokens_per_s": builder.meters["generate"].values["tokens_per_s"]}
        return _told(numbers, f"{', '.join(made.summary['engines'])}: ")

    @cached_property
    def _model(self) -> str:
        """Folder of the model that SFT trains."""
        folder = self._home / "random-model"
        write_random_llama(folder, SHIPPED["embedded"], self._size.shape)
        return str(folder)

    @cached_property
    def _dataset(self) -> str:
        """The embedded model's own right solutions, whose tokens the random model shares."""
        made, _ = self._run(dataset, recipe="tiny-cpu", overrides=self._polya)
        return str(made.ref)

    def _midtrain(self, builder: Builder | None = None, force: bool = True, **changes: Any) -> _Training:
        overrides = self._polya | {"model.source": self._model, "midtrain.batching": "packed"} | changes
        given = {"recipe": "tiny-cpu", "dataset": self._dataset, "overrides": overrides, "force": force}
        with PeakMemory(self._on_gpu) as peak:
            made, builder = self._run(midtrain, builder, **given)
        return _Training(made, builder.meters["midtrain"], overrides, peak.gib)

    def _sft(self, batching: str) -> tuple[str, Numbers]:
        trained = self._midtrain(**{"midtrain.batching": batching})
        share = model_flops_share("tiny-cpu", trained.overrides, trained.tokens_per_s)
        estimate = expected_gib("tiny-cpu", trained.overrides, "midtrain")
        numbers = {"steps": trained.model.rows["steps"], "tokens_per_s": trained.tokens_per_s, "mfu": share}
        return _told(numbers | {"peak_gib": trained.peak_gib, "estimate_gib": estimate})

    @cached_property
    def _straight(self) -> Manifest:
        """A training that nothing disturbs: the packed one, which is in the store already if it went well."""
        return self._midtrain(force=False).model

    def _resume(self) -> tuple[str, Numbers]:
        straight, killing = self._straight, Builder(kill_after_step=SAVE_EVERY_STEPS)
        try:
            self._midtrain(killing)
        except WorkerFailed:
            if not killing.meters["midtrain"].killed:
                raise
        else:
            raise RuntimeError("the training was over before it could be killed")
        resumed = self._midtrain().model
        step = resumed.summary["resumed_from_step"]
        if step == 0:
            raise RuntimeError("the training began anew instead of at a checkpoint")
        if _weights(resumed) == _weights(straight):
            return _told({"resumed_from_step": step}, "the same weights to the bit: ")
        _check_same_loss(resumed, straight)
        if not self._on_gpu:
            raise RuntimeError(f"resumed from step {step}, the training ends with other weights")
        return _told({"resumed_from_step": step}, "the same loss but for rounding: ")

    def _sharded(self) -> tuple[str, Numbers]:
        if not self._on_gpu:
            raise NothingToLookAt("accelerate shards models on accelerators only")
        straight = self._straight
        sharded = self._midtrain(**{"runtime.accelerate_config": str(LAUNCHES / "fsdp2.yaml")})
        _check_same_loss(sharded.model, straight)
        return _told({"tokens_per_s": sharded.tokens_per_s, "peak_gib": sharded.peak_gib})

    def _reinforced(self, stage: str, flow: Any, recipe: str, overrides: dict[str, Any]) -> tuple[str, Numbers]:
        with PeakMemory(self._on_gpu) as peak:
            made, builder = self._run(flow, recipe=recipe, overrides=overrides)
        meter = builder.meters[stage]
        numbers = {
            "rollouts": made.rows["rollouts"],
            "step_s": meter.median("step_s"),
            "reward": meter.median("reward"),
        }
        numbers |= meter.largest_gap(self._on_gpu)
        return _told(numbers | {"peak_gib": peak.gib, "estimate_gib": expected_gib(recipe, overrides, stage)})


def _weights(model: Manifest) -> dict[str, str]:
    """Digests of a model's weight files."""
    return {entry.path: entry.sha256 for entry in model.files if entry.path.endswith(".safetensors")}


def _check_same_loss(model: Manifest, other: Manifest) -> None:
    ends = [manifest.summary["curve"][-1]["loss"] for manifest in (model, other)]
    if abs(ends[0] - ends[1]) > ROUNDING * abs(ends[1]):
        raise RuntimeError(f"the training ends with loss {ends[0]:.4f} instead of {ends[1]:.4f}")


def _told(numbers: Mapping[str, float | None], before: str = "") -> tuple[str, Numbers]:
    """Numbers in words, and those of them that could be had."""
    known = {name: round(float(value), 4) for name, value in numbers.items() if value is not None}
    return before + ", ".join(f"{name} {value:,.4g}" for name, value in known.items()), known
