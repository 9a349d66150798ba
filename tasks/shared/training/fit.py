"""A whole training: resumed where it was left, timed, its weights and its curve written."""

import json
import logging
import shutil
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.shared.training import curve
from tasks.shared.training.config import TrainJob
from tasks.spine.stage.worker import is_main_process

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer

log = logging.getLogger(__name__)

_STATE = "trainer_state.json"
_ZIPPED = (".pt", ".pth", ".bin")
"""Files of `torch.save`, whose directory stands at their end."""


@dataclass(frozen=True)
class Trained:
    """Result of a training."""

    history: list[dict[str, float]]
    """Metrics of every step, over restarts too."""
    facts: dict[str, Any]
    """Numbers for the manifest."""


def fit(trainer: "Trainer", tokenizer: "PreTrainedTokenizerBase", job: TrainJob, metrics: Mapping[str, str]) -> Trained:
    """Train from the last whole checkpoint, or from the start where there is none; write the model and its curve.

    Args:
        metrics: metrics of the curve, the trainer's name to the project's.
    """
    from tasks.shared.training.distributed import agreed, checkpoint_folder
    from tasks.shared.training.models import check_can_be_written, save

    check_can_be_written(trainer, tokenizer, job)
    checkpoint = agreed(lambda: last_whole(checkpoint_folder(job)))
    started = time.perf_counter()
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    seconds = time.perf_counter() - started
    history = curve.points(trainer.state.log_history, metrics)
    if is_main_process():
        curve.write(history, job.out)
    save(trainer, tokenizer, job)
    facts = {
        "steps": trainer.state.global_step,
        "resumed_from_step": int(checkpoint.name.split("-")[1]) if checkpoint else 0,
        "curve": curve.thinned(history),
        "seconds": round(seconds, 3),
    }
    return Trained(history, facts)


def last_whole(folder: Path) -> Path | None:
    """The newest checkpoint that was written to its end, or None; half-written ones are removed.

    `transformers` writes `trainer_state.json` last, and `JointTrainer` waits for every process before, so a
    checkpoint whose state parses was whole. Where the power failed, files may be cut or empty all the same.
    """
    whole: dict[int, Path] = {}
    for path in folder.glob("checkpoint-*"):
        step = _step(path)
        if step is None:
            shutil.rmtree(path)
        else:
            whole[step] = path
    return whole[max(whole)] if whole else None


def _step(checkpoint: Path) -> int | None:
    try:
        step = int(json.loads((checkpoint / _STATE).read_text())["global_step"])
    except (OSError, ValueError, LookupError, TypeError):
        return None
    if damaged := [file.name for file in checkpoint.rglob("*") if _is_cut(file)]:
        log.warning("%s is passed over: %s cannot be read to the end", checkpoint, ", ".join(sorted(damaged)))
        return None
    return step


def _is_cut(file: Path) -> bool:
    """Whether a file of tensors lacks its end, as far as its beginning or its directory tells."""
    from safetensors import SafetensorError, safe_open

    if file.suffix in _ZIPPED:
        return not zipfile.is_zipfile(file)
    if file.suffix != ".safetensors":
        return False
    try:
        with safe_open(file, framework="numpy"):
            return False
    except SafetensorError:
        return True
