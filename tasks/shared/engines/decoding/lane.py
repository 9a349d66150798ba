"""Rows that are decoded together: they join while others write, and make room for the next as they end."""

from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel

from tasks.shared.engines.decoding.passes import JoinPass, StepPass, forward, read_prefix
from tasks.shared.engines.decoding.prompt_groups import Group, Queue, WaitingPrompt
from tasks.shared.engines.decoding.slot_cache import SlotCache
from tasks.shared.engines.decoding.token_choice import Decoded, RowDraws, StopRule, choose_tokens
from tasks.shared.engines.protocol import Sampling

JOIN_SHARE = 8
"""Rows join when this part of the slots is free, one in so many: joins of few rows cost more a row. Ours."""
JOIN_TOKENS = {"cpu": 16_384, "cuda": 65_536}
"""Most tokens, the common beginning and padding included, that prompts which join together may have. Ours."""
NO_TOKEN = 2**30
"""Where a row has written nothing: no token, so that no text of it can be part of a stop text."""


class DecodeLane:
    """A number of slots, and the rows in them."""

    def __init__(
        self,
        model: PreTrainedModel,
        waiting: Queue,
        sampling: Sampling,
        rule: StopRule,
        draws: RowDraws | None,
        slots: int,
    ) -> None:
        self._model, self._waiting, self._sampling, self._rule, self._draws = model, waiting, sampling, rule, draws
        self._slots = slots
        self._stopped = False
        self._end_ids = torch.tensor(list(rule.ids), device=model.device)
        self._cache = SlotCache(slots, model.device)
        self._rows: list[int] = []
        """The row in each used slot, what it wrote, and its numbers."""
        self._written: list[list[int]] = []
        self._numbers = torch.zeros(slots, sampling.max_new_tokens, dtype=torch.float64, device=model.device)
        recent = rule.stop.maximum_token_len if rule.stop else 1
        self._recent = torch.full((slots, recent), NO_TOKEN, device=model.device)
        """The last tokens of each used slot, among which a stop text may stand."""

    def stop(self) -> None:
        """End at the next step."""
        self._stopped = True

    @torch.inference_mode()
    def run(self) -> Iterator[Decoded]:
        """Decode until nothing waits and no row is left."""
        while not self._stopped:
            yield from self._fill()
            if not self._cache.count:
                return
            last = self._recent[: self._cache.count, -1:]
            # The pass has no name: it would keep what its rows begin with while the next ones join.
            yield from self._write(forward(self._model, StepPass(self._cache, last)), 0)

    def _fill(self) -> Iterator[Decoded]:
        """Let rows join while enough slots are free; what they begin with is theirs alone afterwards."""
        free = self._slots - self._cache.count
        while free and (free * JOIN_SHARE >= self._slots or not self._cache.count):
            taken = self._waiting.take(free, JOIN_TOKENS[self._model.device.type])
            if taken is None:
                return
            yield from self._take_in(*taken)
            free = self._slots - self._cache.count

    def _take_in(self, group: Group, prompts: Sequence[WaitingPrompt]) -> Iterator[Decoded]:
        if group.shared:
            with group.making:
                if group.prefix is None:
                    group.prefix = read_prefix(self._model, prompts[0].ids[: group.shared])
        first = self._cache.count
        own = [prompt.ids[group.shared :] for prompt in prompts]
        join = JoinPass(self._cache, group.prefix, own, [len(prompt.rows) for prompt in prompts])
        logits = forward(self._model, join)
        for prompt in prompts:
            self._rows.extend(prompt.rows)
            self._written.extend([] for _ in prompt.rows)
        if self._draws is not None:
            for slot in range(first, self._cache.count):
                self._numbers[slot] = self._draws[self._rows[slot]]
        self._recent[first : self._cache.count] = NO_TOKEN
        yield from self._write(logits[join.prompt_of], first)

    def _write(self, logits: torch.Tensor, first: int) -> Iterator[Decoded]:
        """Choose the next token of the slots from `first` on, and let go those that end with it."""
        slots = slice(first, self._cache.count)
        numbers = None
        if self._draws is not None:
            places = torch.tensor([len(tokens) for tokens in self._written[slots]], device=logits.device)
            numbers = self._numbers[slots].gather(1, places[:, None]).squeeze(1)
        chosen = choose_tokens(logits, self._sampling, numbers)
        self._recent[slots] = torch.cat([self._recent[slots, 1:], chosen[:, None]], dim=1)
        ended = torch.isin(chosen, self._end_ids)
        if self._rule.stop is not None:
            ended |= self._rule.stop(self._recent[slots], logits)
        stopped = ended.tolist()
        for tokens, token in zip(self._written[slots], chosen.tolist(), strict=True):
            tokens.append(token)
        # From the last on: the slot that takes a freed one's place has been looked at.
        for slot in range(self._cache.count - 1, first - 1, -1):
            tokens = self._written[slot]
            if stopped[slot - first] or len(tokens) == self._sampling.max_new_tokens:
                yield Decoded(self._rows[slot], tokens, stopped[slot - first])
                self._free(slot)

    def _free(self, slot: int) -> None:
        last = self._cache.free(slot)
        self._rows[slot], self._written[slot] = self._rows[last], self._written[last]
        self._numbers[slot], self._recent[slot] = self._numbers[last], self._recent[last]
        self._rows.pop()
        self._written.pop()
