"""Attention over slots, as transformers' interface calls it, and softmax attention in parts.

The model itself is untouched: transformers hands queries, keys and values to `slot_attention`, and the pass that stands
in the keyword argument `slots` does the rest.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from transformers import AttentionInterface

IMPLEMENTATION = "slots"


@dataclass(frozen=True)
class Reach:
    """What a layer's queries see."""

    scale: float
    window: int | None
    """How far back, in tokens, the own one included; None for everything before."""


class Pass(Protocol):
    """One forward pass over some tokens of some rows."""

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, reach: Reach
    ) -> torch.Tensor:
        """Keep keys and values, return what the queries gather.

        Shapes: query [rows, heads, tokens, size], key and value [rows, key heads, tokens, size]; returns that of query.
        """
        ...


def slot_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    slots: Pass,
    scaling: float | None = None,
    sliding_window: int | None = None,
    **others: Any,
) -> tuple[torch.Tensor, None]:
    """Attention of transformers' interface over the slots.

    Raises:
        NotImplementedError: the layer asks for what is not done here, such as capped scores or sinks.
    """
    asked = [name for name in ("softcap", "s_aux", "position_bias") if others.get(name) is not None]
    if asked:
        raise NotImplementedError(f"attention with {', '.join(asked)}")
    reach = Reach(query.shape[-1] ** -0.5 if scaling is None else scaling, sliding_window)
    gathered = slots.attend(module.layer_idx, query, key, value, reach)
    return gathered.transpose(1, 2).contiguous(), None


AttentionInterface.register(IMPLEMENTATION, slot_attention)


@dataclass
class SoftmaxPart:
    """Softmax attention over some of the tokens, not yet divided by its sum."""

    gathered: torch.Tensor
    total: torch.Tensor
    top: torch.Tensor
    """Largest score: what stands in the exponentials is relative to it."""

    @classmethod
    def of(
        cls, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None
    ) -> "SoftmaxPart":
        """Attention over these keys and values; `bias` is added to the scores."""
        scores = torch.matmul(query, key.transpose(-1, -2)).float()
        if bias is not None:
            scores += bias
        top = scores.amax(-1, keepdim=True)
        weights = (scores - top).exp_()
        return cls(torch.matmul(weights.to(value.dtype), value).float(), weights.sum(-1, keepdim=True), top)

    def apart(self, rows: int) -> "SoftmaxPart":
        """The rows that stood side by side, [1, key heads, rows * group, ...], as rows again."""
        parts = (self.gathered, self.total, self.top)
        return SoftmaxPart(*(part[0].unflatten(1, (rows, -1)).transpose(0, 1) for part in parts))

    def join(self, other: "SoftmaxPart", rows: torch.Tensor) -> None:
        """Take in what those rows see of other tokens."""
        top = torch.maximum(self.top[rows], other.top)
        mine, theirs = (self.top[rows] - top).exp_(), (other.top - top).exp_()
        self.gathered[rows] = self.gathered[rows] * mine + other.gathered * theirs
        self.total[rows] = self.total[rows] * mine + other.total * theirs
        self.top[rows] = top

    def weighted(self) -> torch.Tensor:
        """What was gathered, with weights that sum to 1."""
        return self.gathered / self.total


def hiding(shown: torch.Tensor) -> torch.Tensor:
    """A bias on scores that leaves what is shown: 0 there, the lowest number elsewhere."""
    return torch.zeros(shown.shape, device=shown.device).masked_fill_(~shown, torch.finfo(torch.float32).min)


def attend_causally(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, reach: Reach, padding: torch.Tensor | None
) -> torch.Tensor:
    """Attention of the last tokens of every row; keys before the queries are a prefix, then come `padding` tokens."""
    tokens, seen = query.shape[2], key.shape[2]
    ahead = seen - tokens
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, dim=1), value.repeat_interleave(groups, dim=1)
    scale = reach.scale
    if padding is None and ahead == 0 and (reach.window is None or tokens <= reach.window):
        return F.scaled_dot_product_attention(query, key, value, is_causal=True, scale=scale)
    places, asked = torch.arange(seen, device=query.device), torch.arange(ahead, seen, device=query.device)[:, None]
    shown = (places <= asked)[None]
    if padding is not None:
        shown = shown & ((places < ahead) | (places >= ahead + padding[:, None]))[:, None]
    if reach.window is not None:
        # Of prefix and own tokens alike, without the padding between them.
        gap = padding[:, None, None] if padding is not None else 0
        shown = shown & (torch.where(places < ahead, places, places - gap) > asked - gap - reach.window)
    # A query of padding sees itself: what it gathers is never read, but must be a number.
    shown = shown | (places == asked)[None]
    return F.scaled_dot_product_attention(query, key, value, attn_mask=shown[:, None], scale=scale)
