"""Some rollouts of a training, kept beside the model: what the reward pays for can be read, as training goes on."""

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.shared.tables.parquet import required_columns, write_parquet

ROLLOUTS_FILE = "rollouts.parquet"
KEPT_BATCHES = 20
"""Batches that some are kept of: the first, and others at even distances. Ours."""
KEPT_OF_BATCH = 4
"""Rollouts that are kept of such a batch: half with the highest reward and half with the lowest. Ours."""

ROLLOUTS = required_columns(
    step=pa.int32(),
    question_id=pa.string(),
    prompt=pa.string(),
    answer=pa.string(),
    completion=pa.string(),
    verdict=pa.string(),
    reward=pa.float64(),
    completion_tokens=pa.int32(),
)
"""`step` is the first optimiser step that learns from it; `completion` has its special tokens; `answer` is the gold
answer, or the true next token."""


class RolloutLog:
    """Keeps rollouts in a folder that outlives a killed training; a batch that is repeated takes its own place."""

    def __init__(self, folder: Path, batches: int) -> None:
        """`batches` is how many the whole run has."""
        self._folder, self._every = folder, -(-batches // KEPT_BATCHES)

    def wants(self, batch: int) -> bool:
        """Whether some of a batch are kept; the first is 0."""
        return batch % self._every == 0

    def keep(self, step: int, rewards: Sequence[float], row: Callable[[int], Mapping[str, Any]]) -> None:
        """Keep some of a batch; `row` makes the other columns of the rollout at a place."""
        order = sorted(range(len(rewards)), key=lambda place: rewards[place])
        half = KEPT_OF_BATCH // 2
        kept = sorted({*order[:half], *order[-half:]})
        rows = [{"step": step, "reward": float(rewards[place]), **row(place)} for place in kept]
        self._folder.mkdir(parents=True, exist_ok=True)
        temporary = self._folder / ".batch.tmp"
        temporary.write_text(json.dumps(rows), encoding="utf-8")
        os.replace(temporary, self._folder / f"{step:08}.json")

    def write(self, out: Path) -> None:
        """One table of all that were kept, in the order of the steps; none where there are no rollouts."""
        if files := sorted(self._folder.glob("*.json")):
            rows = (row for file in files for row in json.loads(file.read_text(encoding="utf-8")))
            write_parquet(rows, out / ROLLOUTS_FILE, ROLLOUTS, sorted_by=["step"])
