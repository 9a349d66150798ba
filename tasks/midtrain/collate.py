"""Lays examples out in rows of tensors, such that none can attend to another."""

from collections.abc import Sequence
from typing import Any

import torch

from tasks.midtrain.batching import Row
from tasks.midtrain.encoding import TrainingExample
from tasks.shared.training.config import IGNORED


def lay_out(
    examples: Sequence[TrainingExample], rows: Sequence[Row], filler: int, *, with_borders: bool = False
) -> dict[str, Any]:
    """`input_ids`, `labels` and `position_ids` of shape (rows, longest row), and `borders` for `attend_by_example`.

    Positions restart at 0 with every example. Given no attention mask, `transformers` reads each restart as a border
    and builds the block-diagonal mask from them (`masking_utils.find_packed_sequence_indices`), unless the model has an
    attention that needs none. Filler behind a row's last example counts on from it: later tokens are out of sight
    anyway, and rows of one example need no mask at all.
    """
    width = max(sum(len(examples[i]) for i in row) for row in rows)
    input_ids = torch.full((len(rows), width), filler)
    labels = torch.full((len(rows), width), IGNORED)
    position_ids = torch.zeros((len(rows), width), dtype=torch.long)
    for line, row in enumerate(rows):
        start = 0
        for index in row:
            example = examples[index]
            middle, end = start + len(example.prompt), start + len(example)
            input_ids[line, start:end] = torch.tensor(example.prompt + example.completion)
            labels[line, middle:end] = torch.tensor(example.completion)
            position_ids[line, start:] = torch.arange(width - start)
            start = end
    laid = {"input_ids": input_ids, "labels": labels, "position_ids": position_ids}
    return {**laid, **_borders(position_ids)} if with_borders else laid


def blank(filler: int, *, with_borders: bool = False) -> dict[str, Any]:
    """A pass without any label: one row of two filler tokens."""
    ids, positions = torch.full((1, 2), filler), torch.arange(2)[None]
    laid = {"input_ids": ids, "labels": torch.full_like(ids, IGNORED), "position_ids": positions}
    return {**laid, **_borders(positions)} if with_borders else laid


def _borders(position_ids: torch.Tensor) -> dict[str, Any]:
    starts = (position_ids.flatten() == 0).nonzero().flatten()
    borders = torch.cat([starts, starts.new_tensor([position_ids.numel()])]).to(torch.int32)
    return {"borders": borders, "longest": int(borders.diff().max())}
