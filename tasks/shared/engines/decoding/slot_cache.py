"""Keys and values of rows that are decoded together.

A row has a slot: its own tokens, written in place. What several prompts begin with (the worked examples of a heuristic)
is a `Prefix`: computed once, held once, and read once per step for all rows that share it.
"""

from dataclasses import dataclass, field

import torch

from tasks.shared.engines.decoding.attention import Reach, attend_causally

GROWTH_TOKENS = 64
"""Tokens by which slots grow at least: each time all of them are copied. Ours."""


@dataclass
class Prefix:
    """Keys and values of what prompts begin with, by layer: [key heads, tokens, size]. It is the pass that makes it."""

    ids: tuple[int, ...]
    windows: set[int | None] = field(default_factory=set)
    """Windows that layers asked for."""
    keys: dict[int, torch.Tensor] = field(default_factory=dict)
    values: dict[int, torch.Tensor] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.ids)

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, reach: Reach
    ) -> torch.Tensor:
        """Read the prefix itself: one row."""
        self.keys[layer], self.values[layer] = key[0], value[0]
        self.windows.add(reach.window)
        return attend_causally(query, key, value, reach, None)


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
        self.prefixes[last] = None
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
