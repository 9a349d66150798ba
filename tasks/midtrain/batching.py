"""Examples of each optimiser step, and how they share rows and forward passes.

A step always holds the same examples, whatever the batching, the row length or the machine: those only change how
they are laid out, and so the padding, not the loss.
"""

import random
from bisect import bisect_left, insort
from collections.abc import Sequence
from dataclasses import dataclass

Row = list[int]
"""Indices of the examples in one row, in order."""


@dataclass(frozen=True)
class Step:
    """One optimiser step."""

    epoch: int
    examples: tuple[int, ...]


def plan_steps(num_examples: int, epochs: int, batch_size: int, seed: int) -> list[Step]:
    """The whole run: each epoch is a new permutation, and its last step holds what is left, so nothing is dropped."""
    steps: list[Step] = []
    for epoch in range(epochs):
        order = list(range(num_examples))
        random.Random(f"{seed}/{epoch}").shuffle(order)
        for start in range(0, num_examples, batch_size):
            steps.append(Step(epoch, tuple(order[start : start + batch_size])))
    return steps


def pack(lengths: Sequence[int], capacity: int) -> list[Row]:
    """Best-fit decreasing: each example whole, in the fullest row that still has room for it.

    Args:
        lengths: tokens per example.
        capacity: tokens per row; at least the longest example.
    """
    if max(lengths, default=0) > capacity:
        raise ValueError(f"capacity={capacity} is below the longest example of {max(lengths)} tokens")
    rows: list[Row] = []
    room: list[tuple[int, int]] = []  # (free tokens, row), sorted
    for example in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i)):
        length = lengths[example]
        place = bisect_left(room, (length, -1))
        if place == len(room):
            rows.append([])
            free, row = capacity, len(rows) - 1
        else:
            free, row = room.pop(place)
        rows[row].append(example)
        insort(room, (free - length, row))
    return rows


def group_by_length(lengths: Sequence[int]) -> list[Row]:
    """One example a row, longest first, so that neighbours need little padding."""
    return [[example] for example in sorted(range(len(lengths)), key=lambda i: (-lengths[i], i))]


def forward_passes(rows: Sequence[Row], lengths: Sequence[int], tokens_per_pass: int) -> list[list[Row]]:
    """Rows of similar fill together, as many as `tokens_per_pass` holds, padding included; at least one."""
    ordered = sorted(rows, key=lambda row: -sum(lengths[i] for i in row))
    passes: list[list[Row]] = []
    start = 0
    while start < len(ordered):
        end = start + max(1, tokens_per_pass // sum(lengths[i] for i in ordered[start]))
        passes.append(list(ordered[start:end]))
        start = end
    return passes
