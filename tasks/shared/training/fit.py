"""A whole training by RL: resumed where it was left, timed, its weights and its curve written."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tasks.shared.training import curve
from tasks.shared.training.checkpoints import last_whole
from tasks.shared.training.config import TrainJob
from tasks.spine.stage.worker import is_main_process

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase, Trainer


@dataclass(frozen=True)
class Trained:
    """What a training did."""

    history: list[dict[str, float]]
    """Every step, over restarts too."""
    facts: dict[str, Any]
    """For the manifest."""


def fit(trainer: "Trainer", tokenizer: "PreTrainedTokenizerBase", job: TrainJob, metrics: Mapping[str, str]) -> Trained:
    """Train from the last whole checkpoint, or from the start where there is none.

    Args:
        metrics: what the curve has: the trainer's name -> ours.
    """
    from tasks.shared.training.distributed import agreed, checkpoint_folder
    from tasks.shared.training.models import save

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
