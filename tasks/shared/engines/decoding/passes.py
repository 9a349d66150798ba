"""Forward passes over slots: rows that come in, and one token for every row.

A step attends to a common beginning and to a row's own slot apart, and joins both with their sums of exponentials, as
in cascade attention (https://flashinfer.ai/2024/02/02/cascade-inference.html).
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from tasks.shared.engines.decoding.attention import Pass, Reach, SoftmaxPart, attend_causally, hiding
from tasks.shared.engines.decoding.slot_cache import Prefix, SlotCache


def forward(model: PreTrainedModel, slots: "JoinPass | StepPass") -> torch.Tensor:
    """Logits behind the last token of every row of the pass: [rows, vocabulary]; its tokens are in the slots then."""
    logits = _logits(model, slots.ids, slots.positions(), slots)
    slots.done()
    return logits


def read_prefix(model: PreTrainedModel, ids: Sequence[int]) -> Prefix:
    """Keys and values of what prompts begin with."""
    prefix = Prefix(tuple(ids))
    tokens = torch.tensor([list(ids)], device=model.device)
    _logits(model, tokens, torch.arange(len(ids), device=model.device)[None], prefix)
    return prefix


def _logits(model: PreTrainedModel, ids: torch.Tensor, positions: torch.Tensor, slots: Pass) -> torch.Tensor:
    output = model(input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=1, slots=slots)
    return output.logits[:, -1]


class JoinPass:
    """Rows that come in: what each has behind the prefix, padded on the left, into the slots behind the used ones."""

    def __init__(
        self, cache: SlotCache, prefix: Prefix | None, own: Sequence[Sequence[int]], copies: Sequence[int]
    ) -> None:
        """`own` tokens of the prompts behind the prefix, and how many rows each of them becomes."""
        device = cache.begin.device
        self._cache, self._prefix = cache, prefix
        self._width = max(map(len, own))
        self._padding = torch.tensor([self._width - len(tokens) for tokens in own], device=device)
        # What stands where there is no token is never read.
        self.ids = torch.tensor([[0] * (self._width - len(tokens)) + list(tokens) for tokens in own], device=device)
        self.prompt_of = torch.repeat_interleave(torch.tensor(list(copies), device=device))
        """Which prompt each row continues."""
        self._slots = slice(cache.count, cache.count + len(self.prompt_of))

    def positions(self) -> torch.Tensor:
        """Positions of the tokens: [prompts, width]; those of padding do not matter."""
        own = torch.arange(self._width, device=self._padding.device) - self._padding[:, None]
        return own.clamp(min=0) + _length(self._prefix)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, reach: Reach
    ) -> torch.Tensor:
        """Every prompt sees the prefix and its own tokens."""
        keys, values = self._cache.room(layer, self._width, key, value)
        keys[self._slots, :, : self._width] = key[self.prompt_of]
        values[self._slots, :, : self._width] = value[self.prompt_of]
        if self._prefix:
            key, value = (
                torch.cat([before.expand(len(own), -1, -1, -1), own], dim=2)
                for before, own in ((self._prefix.keys[layer], key), (self._prefix.values[layer], value))
            )
        return attend_causally(query, key, value, reach, self._padding)

    def done(self) -> None:
        """The rows are in."""
        self._cache.begin[self._slots] = self._padding[self.prompt_of]
        self._cache.end[self._slots] = self._width
        self._cache.prefixes[self._slots] = [self._prefix] * len(self.prompt_of)
        self._cache.count = self._slots.stop


class StepPass:
    """One token for every used slot."""

    def __init__(self, cache: SlotCache, tokens: torch.Tensor) -> None:
        """`tokens` that the used slots wrote last: [rows, 1]."""
        self._cache, self.ids = cache, tokens
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
        gathered = SoftmaxPart.of(
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
            found = self._hidden[-1, reach.window] = hiding(shown)[:, None, None]
        return found

    def _before(
        self, number: int, prefix: Prefix, sharing: torch.Tensor, grouped: torch.Tensor, layer: int, reach: Reach
    ) -> "SoftmaxPart":
        """The prefix, read once for all rows that share it: their queries stand side by side as those of one row."""
        taken = grouped[sharing]
        rows, key_heads, group, size = taken.shape
        together = taken.transpose(0, 1).reshape(1, key_heads, rows * group, size)
        bias = None
        if reach.window is not None and int(self._positions[sharing].max()) >= reach.window:
            bias = self._hidden.get((number, reach.window))
            if bias is None:
                places = torch.arange(len(prefix), device=grouped.device)
                shown = hiding(places > self._positions[sharing][:, None] - reach.window)
                bias = self._hidden[number, reach.window] = shown.repeat_interleave(group, dim=0)[None, None]
        part = SoftmaxPart.of(together, prefix.keys[layer][None], prefix.values[layer][None], bias)
        return part.apart(rows)


def _sharing(prefixes: Sequence[Prefix | None], device: torch.device) -> list[tuple[Prefix, torch.Tensor]]:
    """The prefixes in use, each with its rows."""
    rows: dict[int, list[int]] = {}
    for row, prefix in enumerate(prefixes):
        if prefix is not None:
            rows.setdefault(id(prefix), []).append(row)
    return [(prefixes[listed[0]], torch.tensor(listed, device=device)) for listed in rows.values()]


def _length(prefix: Prefix | None) -> int:
    return len(prefix) if prefix else 0
