"""Keys and values of rows that are decoded together, and the attention that reads them.

A row has a slot: its own tokens, at most `capacity` of them, written in place. What several prompts begin with (the
worked examples of a heuristic) is a `Prefix`: computed once, held once, and read once per step for all rows that share
it, by attending to both parts apart and joining them with their sums of exponentials, as in cascade attention
(https://flashinfer.ai/2024/02/02/cascade-inference.html).

The model itself is untouched: transformers hands queries, keys and values to `slot_attention`, and the pass that stands
in the keyword argument `slots` does the rest.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from transformers import AttentionInterface

IMPLEMENTATION = "slots"
GROWTH_TOKENS = 64
"""Tokens by which slots grow at least: each time all of them are copied. Ours."""


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
class Prefix:
    """Keys and values of what prompts begin with, by layer: [key heads, tokens, size]. It is the pass that makes it."""

    ids: tuple[int, ...]
    keys: dict[int, torch.Tensor] = field(default_factory=dict)
    values: dict[int, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, reach: Reach
    ) -> torch.Tensor:
        """Read the prefix itself: one row."""
        self.keys[layer], self.values[layer] = key[0], value[0]
        return _attend_causally(query, key, value, reach, None)


class SlotCache:
    """Slots 0 to `count` - 1 are in use; a row that leaves is replaced by the last one."""

    def __init__(self, slots: int, device: torch.device) -> None:
        self.count = 0
        self.begin = torch.zeros(slots, dtype=torch.long, device=device)
        """First token of a slot that counts: rows that join together are padded on the left."""
        self.end = torch.zeros(slots, dtype=torch.long, device=device)
        """Tokens in a slot, padding included."""
        self.prefixes: list[Prefix | None] = [None] * slots
        """The prefix that a slot's row is read behind, where it is held apart."""
        self._keys: dict[int, torch.Tensor] = {}
        self._values: dict[int, torch.Tensor] = {}

    def next_positions(self) -> torch.Tensor:
        """Position of the token that comes next in each used slot: [count]."""
        behind = [len(prefix) if prefix else 0 for prefix in self.prefixes[: self.count]]
        return self.end[: self.count] - self.begin[: self.count] + torch.tensor(behind, device=self.end.device)

    def free(self, slot: int) -> int:
        """Give a slot up; returns the slot whose row now stands in it, which is no more in use."""
        last = self.count - 1
        if slot != last:
            used = int(self.end[last])
            for tensor in (*self._keys.values(), *self._values.values()):
                tensor[slot, :, :used] = tensor[last, :, :used]
            self.begin[slot], self.end[slot] = self.begin[last], self.end[last]
            self.prefixes[slot] = self.prefixes[last]
        self.count = last
        return last

    def room(
        self, layer: int, tokens: int, key: torch.Tensor, value: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """The layer's keys and values [slots, key heads, capacity, size], with room for so many tokens.

        `key` and `value` are some of them: their sizes and precision.
        """
        for held, part in ((self._keys, key), (self._values, value)):
            former = held.get(layer)
            if former is None or former.shape[2] < tokens:
                capacity = tokens + max(GROWTH_TOKENS, tokens // 4)
                held[layer] = part.new_zeros(len(self.begin), part.shape[1], capacity, part.shape[3])
                if former is not None:
                    held[layer][:, :, : former.shape[2]] = former
        return self._keys[layer], self._values[layer]


class JoinPass:
    """Rows that come in: what each has behind the prefix, padded on the left, into the slots behind the used ones."""

    def __init__(self, cache: SlotCache, prefix: Prefix | None, lengths: Sequence[int], copies: Sequence[int]) -> None:
        """`lengths` of the prompts behind the prefix, and how many rows each of them becomes."""
        device = cache.begin.device
        self._cache, self._prefix = cache, prefix
        self._width = max(lengths)
        self._padding = torch.tensor([self._width - length for length in lengths], device=device)
        self._of = torch.repeat_interleave(torch.tensor(list(copies), device=device))
        self._slots = slice(cache.count, cache.count + len(self._of))

    def positions(self) -> torch.Tensor:
        """Positions of the tokens: [prompts, width]; those of padding do not matter."""
        own = torch.arange(self._width, device=self._padding.device) - self._padding[:, None]
        return own.clamp(min=0) + _length(self._prefix)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, reach: Reach
    ) -> torch.Tensor:
        """Every prompt sees the prefix and its own tokens."""
        keys, values = self._cache.room(layer, self._width, key, value)
        keys[self._slots, :, : self._width] = key[self._of]
        values[self._slots, :, : self._width] = value[self._of]
        if self._prefix:
            key, value = (
                torch.cat([before.expand(len(own), -1, -1, -1), own], dim=2)
                for before, own in ((self._prefix.keys[layer], key), (self._prefix.values[layer], value))
            )
        return _attend_causally(query, key, value, reach, self._padding)

    def done(self) -> torch.Tensor:
        """The rows are in; returns which prompt each of them continues."""
        self._cache.begin[self._slots] = self._padding[self._of]
        self._cache.end[self._slots] = self._width
        self._cache.prefixes[self._slots] = [self._prefix] * len(self._of)
        self._cache.count = self._slots.stop
        return self._of


class StepPass:
    """One token for every used slot."""

    def __init__(self, cache: SlotCache) -> None:
        self._cache = cache
        self._rows = torch.arange(cache.count, device=cache.begin.device)
        self._end = cache.end[: cache.count].clone()
        self._width = int(self._end.max()) + 1
        self._positions = cache.next_positions()
        self._sharing = _sharing(cache.prefixes[: cache.count], cache.begin.device)
        self._hidden: dict[tuple[int, int | None], torch.Tensor] = {}

    def positions(self) -> torch.Tensor:
        """Positions of the tokens: [rows, 1]."""
        return self._positions[:, None]

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, reach: Reach
    ) -> torch.Tensor:
        """Every row sees its prefix and its own slot."""
        keys, values = self._cache.room(layer, self._width, key, value)
        keys[self._rows, :, self._end] = key[:, :, 0]
        values[self._rows, :, self._end] = value[:, :, 0]
        rows, heads, _, size = query.shape
        # Query heads that share a key head stand where tokens would: nothing is repeated in memory.
        grouped = (query * reach.scale).view(rows, key.shape[1], heads // key.shape[1], size)
        own = slice(0, self._width)
        gathered = _Part.of(
            grouped, keys[: len(self._rows), :, own], values[: len(self._rows), :, own], self._own(reach)
        )
        for number, (prefix, sharing) in enumerate(self._sharing):
            gathered.join(self._before(number, prefix, sharing, grouped, layer, reach), sharing)
        return gathered.weighted().to(query.dtype).view(rows, heads, 1, size)

    def done(self) -> None:
        """The tokens are in."""
        self._cache.end[: self._cache.count] += 1

    def _own(self, reach: Reach) -> torch.Tensor:
        """What hides tokens of a slot that do not count: [rows, 1, 1, width]."""
        found = self._hidden.get((-1, reach.window))
        if found is None:
            places = torch.arange(self._width, device=self._end.device)
            first = self._cache.begin[: len(self._rows)]
            if reach.window is not None:
                first = torch.maximum(first, self._end - reach.window + 1)
            shown = (places >= first[:, None]) & (places <= self._end[:, None])
            found = self._hidden[-1, reach.window] = _bias(shown)[:, None, None]
        return found

    def _before(
        self, number: int, prefix: Prefix, sharing: torch.Tensor, grouped: torch.Tensor, layer: int, reach: Reach
    ) -> "_Part":
        """The prefix, read once for all rows that share it: their queries stand side by side as those of one row."""
        taken = grouped[sharing]
        rows, key_heads, group, size = taken.shape
        together = taken.transpose(0, 1).reshape(1, key_heads, rows * group, size)
        bias = None
        if reach.window is not None and int(self._positions[sharing].max()) >= reach.window:
            bias = self._hidden.get((number, reach.window))
            if bias is None:
                places = torch.arange(len(prefix), device=grouped.device)
                shown = _bias(places > self._positions[sharing][:, None] - reach.window)
                bias = self._hidden[number, reach.window] = shown.repeat_interleave(group, dim=0)[None, None]
        part = _Part.of(together, prefix.keys[layer][None], prefix.values[layer][None], bias)
        return part.apart(rows)


@dataclass
class _Part:
    """Softmax attention over some of the tokens, not yet divided by its sum."""

    gathered: torch.Tensor
    total: torch.Tensor
    top: torch.Tensor
    """Largest score: what stands in the exponentials is relative to it."""

    @classmethod
    def of(cls, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, bias: torch.Tensor | None) -> "_Part":
        scores = torch.matmul(query, key.transpose(-1, -2)).float()
        if bias is not None:
            scores += bias
        top = scores.amax(-1, keepdim=True)
        weights = (scores - top).exp_()
        return cls(torch.matmul(weights.to(value.dtype), value).float(), weights.sum(-1, keepdim=True), top)

    def apart(self, rows: int) -> "_Part":
        """The rows that stood side by side, [1, key heads, rows * group, ...], as rows again."""
        parts = (self.gathered, self.total, self.top)
        return _Part(*(part[0].unflatten(1, (rows, -1)).transpose(0, 1) for part in parts))

    def join(self, other: "_Part", rows: torch.Tensor) -> None:
        """Take in what those rows see of other tokens."""
        top = torch.maximum(self.top[rows], other.top)
        mine, theirs = (self.top[rows] - top).exp_(), (other.top - top).exp_()
        self.gathered[rows] = self.gathered[rows] * mine + other.gathered * theirs
        self.total[rows] = self.total[rows] * mine + other.total * theirs
        self.top[rows] = top

    def weighted(self) -> torch.Tensor:
        return self.gathered / self.total


def _bias(shown: torch.Tensor) -> torch.Tensor:
    return torch.zeros(shown.shape, device=shown.device).masked_fill_(~shown, torch.finfo(torch.float32).min)


def _sharing(prefixes: Sequence[Prefix | None], device: torch.device) -> list[tuple[Prefix, torch.Tensor]]:
    """The prefixes in use, each with its rows."""
    rows: dict[int, list[int]] = {}
    for row, prefix in enumerate(prefixes):
        if prefix is not None:
            rows.setdefault(id(prefix), []).append(row)
    return [(prefixes[listed[0]], torch.tensor(listed, device=device)) for listed in rows.values()]


def _length(prefix: Prefix | None) -> int:
    return len(prefix) if prefix else 0


def _attend_causally(
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
