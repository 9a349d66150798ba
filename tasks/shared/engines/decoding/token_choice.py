"""How a next token is chosen, greedy or by a number that belongs to its row, and how a row ends."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from transformers.generation.stopping_criteria import StopStringCriteria

from tasks.errors import Permanent
from tasks.shared.engines.protocol import Sampling

LIKELIEST = 256
"""Tokens that are put in order first: they nearly always hold the mass that top-p asks for. Ours."""


@dataclass(frozen=True)
class StopRule:
    """What ends a row, besides the token limit."""

    ids: Sequence[int]
    pad_id: int
    """Stands where a row has no token."""
    stop: StopStringCriteria | None = None


@dataclass(frozen=True, slots=True)
class Decoded:
    """Token ids written for one row."""

    row: int
    tokens: list[int]
    stopped: bool
    """False when the row was cut by the token limit."""


class RowDraws(Protocol):
    """A row's numbers, uniform in [0, 1): [max_new_tokens]."""

    def __getitem__(self, row: int, /) -> torch.Tensor: ...


@dataclass(frozen=True)
class SeededDraws:
    """Numbers from a stream of each row's own, whatever rows stand beside it."""

    seeds: Sequence[int]
    length: int

    def __getitem__(self, row: int, /) -> torch.Tensor:
        stream = torch.Generator().manual_seed(self.seeds[row])
        return torch.rand(self.length, generator=stream, dtype=torch.float64)


def choose_tokens(logits: torch.Tensor, sampling: Sampling, draws: torch.Tensor | None) -> torch.Tensor:
    """Next token ids [rows] from logits [rows, vocabulary]: greedy, or drawn under temperature, top-k and top-p.

    A row's token is read off its distribution function at the row's number in `draws` ([rows], each in [0, 1); None
    for greedy decoding). So it depends on nothing but the row, and rounding matters at a border of two tokens alone.

    Raises:
        Permanent: a row's logits are not finite, from which any token could come.
    """
    if sampling.greedy:
        likeliest = logits.max(-1)
        _check_finite(likeliest.values)
        return likeliest.indices
    assert draws is not None, "sampling needs a number for each row"
    scaled = logits.float() / sampling.temperature
    if sampling.top_k:
        kth = scaled.topk(min(sampling.top_k, scaled.shape[-1]), dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < kth, -torch.inf)
    probabilities = scaled.softmax(-1)
    if sampling.top_p == 1:
        cumulative = probabilities.cumsum(-1, dtype=torch.float64)
        return _read_off(cumulative, cumulative[:, -1:], draws)
    return _from_nucleus(probabilities, sampling.top_p, draws)


def _from_nucleus(probabilities: torch.Tensor, top_p: float, draws: torch.Tensor) -> torch.Tensor:
    """Draw from the likeliest tokens: one stays while the mass before it is below top_p, so the first always stays."""
    likeliest, order = probabilities.topk(min(LIKELIEST, probabilities.shape[-1]), dim=-1)
    cumulative = likeliest.cumsum(-1, dtype=torch.float64)
    wide = (cumulative[:, -1] < top_p).nonzero().flatten()
    chosen = _within(cumulative, order, top_p, draws)
    if len(wide) and order.shape[-1] < probabilities.shape[-1]:
        ordered, order = probabilities[wide].sort(dim=-1, descending=True, stable=True)
        chosen[wide] = _within(ordered.cumsum(-1, dtype=torch.float64), order, top_p, draws[wide])
    return chosen


def _within(cumulative: torch.Tensor, order: torch.Tensor, top_p: float, draws: torch.Tensor) -> torch.Tensor:
    last = torch.searchsorted(cumulative, cumulative.new_full((len(cumulative), 1), top_p))
    total = cumulative.gather(-1, last.clamp(max=cumulative.shape[-1] - 1))
    return order.gather(-1, _read_off(cumulative, total, draws)[:, None]).squeeze(-1)


def _read_off(cumulative: torch.Tensor, total: torch.Tensor, draws: torch.Tensor) -> torch.Tensor:
    """Where each row's number, in (0, total], stands: the first token that reaches it has a probability above 0."""
    _check_finite(total)
    return torch.searchsorted(cumulative, (1 - draws[:, None].double()) * total).squeeze(-1)


def _check_finite(values: torch.Tensor) -> None:
    if not bool(values.isfinite().all()):
        raise Permanent(
            "the model's logits are not finite: its weights are damaged, or its precision is too small for them; "
            "try runtime.dtype=float32"
        )
