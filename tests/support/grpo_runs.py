"""What tests of all trainers on GRPO share: a crash before a step is reported, the curve, the order of prompts, and
rollouts that a rule writes.
"""

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tasks.spine.stage.worker import Reporter


class Crash(Reporter):
    """Ends the run before a step is reported, as a kill would."""

    def __init__(self, folder: Path, at: int) -> None:
        super().__init__(folder)
        self._at = at

    def metrics(self, step: int, **values: float) -> None:
        if step == self._at:
            raise KeyboardInterrupt
        super().metrics(step, **values)


def curve(folder: Path) -> list[dict[str, float]]:
    """The training curve that a run wrote."""
    return [json.loads(line) for line in (folder / "out" / "training.jsonl").read_text().splitlines()]


def note_prompts(trainer: Any, monkeypatch: Any) -> list[list[str]]:
    """Prompts of each batch, in the order in which a trainer of this class asks them from now on."""
    batches: list[list[str]] = []
    original = trainer._generate

    def noting(self: Any, prompts: list[str]) -> Any:
        batches.append(prompts[:: self.num_generations])
        return original(self, prompts)

    monkeypatch.setattr(trainer, "_generate", noting)
    return batches


def written_by(rule: Callable[[random.Random], str]) -> Callable[..., Any]:
    """A `_generate_single_turn` whose texts come from `rule`, the same in any number of processes.

    One in five has no end.
    """

    def write(trainer: Any, prompt_ids: list[list[int]], _images: Any, _fields: Any, group: int, **_: Any) -> Any:
        tokenizer, rows = trainer.processing_class, []
        for row, ids in enumerate(prompt_ids):
            rng = random.Random(f"{ids}/{row % group}/{trainer.state.global_step}")
            text = rule(rng)
            end = [] if rng.random() < 0.2 else [tokenizer.eos_token_id]
            rows.append(tokenizer(text, add_special_tokens=False)["input_ids"] + end)
        return rows, None

    return write
