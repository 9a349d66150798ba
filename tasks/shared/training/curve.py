"""A run's metrics, step by step: whole beside the weights, thinned for the manifest."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

Point = Mapping[str, float]

FILE = "training.jsonl"
"""File in the model's folder. Times are left out, so that equal runs have equal files."""
_SHOWN = 300


def points(log_history: Sequence[Point], names: Mapping[str, str]) -> list[dict[str, float]]:
    """The steps of a trainer's history, under the project's names (`names`: the trainer's name -> ours)."""
    return [
        {
            "step": entry["step"],
            **{ours: entry[theirs] for theirs, ours in names.items() if entry.get(theirs) is not None},
        }
        for entry in log_history
        if "loss" in entry
    ]


def write(curve: Sequence[Point], folder: Path) -> None:
    """Write one JSON object a line."""
    (folder / FILE).write_text("".join(json.dumps(point) + "\n" for point in curve))


def thinned(curve: Sequence[Point], shown: int = _SHOWN) -> list[Point]:
    """At most `shown` points at even distances, first and last included."""
    if len(curve) <= shown:
        return list(curve)
    return [curve[round(index * (len(curve) - 1) / (shown - 1))] for index in range(shown)]
