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
from flows.stages.dataset import dataset
from flows.stages.generate import generate
from flows.stages.midtrain import midtrain
from flows.stages.rl import rl
from flows.stages.rmt_train import rmt_train
from tasks.shared.models.random_weights import write_random_llama
from tasks.shared.models.resolve import SHIPPED
from tasks.shared.training.accelerate import SHIPPED as LAUNCHES
from tasks.spine.stage.context import run_context, run_context_with
from tasks.spine.stage.launch import WorkerFailed
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.settings import Settings

LIMIT_S = 360.0
"""On a GPU the whole takes no longer."""
REMEDY = "read the log that this line names; what was run stays in doctor/ under MIDTRAIN_HOME"
ROUNDING = 0.02
"""Share by which the last losses of two trainings may differ that sum in another order (ours)."""


@dataclass(frozen=True)
class Size:
    """How much is done on a kind of machine (ours)."""

    shape: Mapping[str, int]
    """Fields by which the model that SFT trains differs from the embedded one, in its config.json."""
    questions: int
    batch_size: int
    epochs: int
    dtype: str


SIZES = {
    "cpu": Size({}, questions=12, batch_size=4, epochs=6, dtype="float32"),
    # 349 million weights.
    "cuda": Size(
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
        dtype="bfloat16",
    ),
}
SAVE_EVERY_STEPS = 5


def smoke_run(settings: Settings, on_gpu: bool) -> Iterator[Finding]:
    """A finding for each kind of work, as soon as it is done; then one for the time that all took."""
    home = settings.root / "doctor"
    shutil.rmtree(home, ignore_errors=True)
    began, failed = time.monotonic(), False
    with run_context_with(settings=Settings(home=home, store=str(home / "store"), tracking_uri="")):
        for finding in _Smoke(home, "cuda" if on_gpu else "cpu").findings():
            failed |= finding.verdict == "FAIL"
            yield finding
    yield look("time", lambda: _in_time(time.monotonic() - began, on_gpu), "look for the slowest line above")
    if not failed:
        shutil.rmtree(home, ignore_errors=True)


def _in_time(seconds: float, on_gpu: bool) -> tuple[str, Numbers]:
    if on_gpu and seconds > LIMIT_S:
        raise TimeoutError(f"{seconds:.0f} s, longer than {LIMIT_S:.0f}")
    return f"{seconds:.0f} s", {"seconds": round(seconds, 1)}


class _Smoke:
    """Kinds of work, which share the questions, the samples and the dataset."""

    def __init__(self, home: Path, device: str) -> None:
        self._device, self._size, self._home = device, SIZES[device], home
        size, shared = self._size, {"rl.dtype": self._size.dtype, "runtime.device": device}
        shared |= {"runtime.save_every_steps": SAVE_EVERY_STEPS, "runtime.timeout_s": LIMIT_S}
        shared |= {"runtime.num_threads": 1} if device == "cpu" else {}
        self._polya = shared | {
            "questions.tiny.count": size.questions,
            "filter.scorer": {"type": "none"},
            "dataset.min_rows": 1,
            "midtrain.batch_size": size.batch_size,
            "midtrain.epochs": size.epochs,
            "midtrain.dtype": size.dtype,
            "rl_questions.tiny.count": 16,
            "rl.steps": 3,
            "rl.prompts_per_step": 8,
        }
        self._rmt = shared | {
            "texts.tiny.count": 60,
            "texts.evaluation_documents": 20,
            "schedule.steps": 3,
            "rmt_train.group_size": 4,
            "rmt_train.dtype": size.dtype,
        }

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

    def _midtrain(
        self, builder: Builder | None = None, force: bool = True, **changes: Any
    ) -> tuple[Manifest, Meter, dict[str, Any]]:
        overrides = self._polya | {"model.source": self._model} | changes
        given = {"recipe": "tiny-cpu", "dataset": self._dataset, "overrides": overrides, "force": force}
        made, builder = self._run(midtrain, builder, **given)
        return made, builder.meters["midtrain"], overrides

    def _sft(self, batching: str) -> tuple[str, Numbers]:
        with PeakMemory(self._device == "cuda") as peak:
            made, meter, overrides = self._midtrain(**{"midtrain.batching": batching})
        tokens_per_s = meter.median("tokens_per_s")
        share = model_flops_share("tiny-cpu", overrides, tokens_per_s)
        numbers = {"steps": made.rows["steps"], "tokens_per_s": tokens_per_s, "mfu": share, "peak_gib": peak.gib}
        return _told(numbers | {"estimate_gib": expected_gib("tiny-cpu", overrides, "midtrain")})

    @cached_property
    def _straight(self) -> Manifest:
        """A training that nothing disturbs: the packed one, which is in the store already if it went well."""
        return self._midtrain(force=False, **{"midtrain.batching": "packed"})[0]

    def _resume(self) -> tuple[str, Numbers]:
        straight, killing = self._straight, Builder(kill_after_step=SAVE_EVERY_STEPS)
        try:
            self._midtrain(killing, **{"midtrain.batching": "packed"})
        except WorkerFailed:
            pass
        if not killing.meters["midtrain"].killed:
            raise RuntimeError("the training was over before it could be killed")
        resumed, _, _ = self._midtrain(**{"midtrain.batching": "packed"})
        step = resumed.summary["resumed_from_step"]
        if step == 0:
            raise RuntimeError("the training began anew instead of at a checkpoint")
        if _weights(resumed) == _weights(straight):
            return _told({"resumed_from_step": step}, "the same weights to the bit: ")
        _check_same_loss(resumed, straight)
        if self._device == "cpu":
            raise RuntimeError(f"resumed from step {step}, the training ends with other weights")
        return _told({"resumed_from_step": step}, "the same losses but for rounding: ")

    def _sharded(self) -> tuple[str, Numbers]:
        if self._device == "cpu":
            raise NothingToLookAt("accelerate shards models on accelerators only")
        config = {"midtrain.batching": "packed", "runtime.accelerate_config": str(LAUNCHES / "fsdp2.yaml")}
        straight = self._straight
        with PeakMemory(on_gpu=True) as peak:
            made, meter, _ = self._midtrain(**config)
        _check_same_loss(made, straight)
        return _told({"tokens_per_s": meter.median("tokens_per_s"), "peak_gib": peak.gib})

    def _reinforced(self, stage: str, flow: Any, recipe: str, overrides: dict[str, Any]) -> tuple[str, Numbers]:
        with PeakMemory(self._device == "cuda") as peak:
            made, builder = self._run(flow, recipe=recipe, overrides=overrides)
        meter = builder.meters[stage]
        gaps = [step["sampler_gap"] for step in meter.steps if "sampler_gap" in step]
        numbers = {
            "rollouts": made.rows["rollouts"],
            "step_s": meter.median("step_s"),
            "reward": meter.median("reward"),
        }
        numbers |= {"sampler_gap": max(gaps)} if gaps else {}
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
