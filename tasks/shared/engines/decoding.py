"""The decode loop of the transformers engine, which also writes the rollouts of training.

`generate` of transformers carries every row to the end of the longest one, copies all keys and values at every step and
reads what prompts have in common anew for each of them. Here a row that ends makes room for the next, keys and values
are written in place, and a common beginning is read once (`slot_cache`). On a CPU each core decodes rows of its own
(a lane): threads that share one matrix product wait for each other at its end, and on a machine with other work for
whoever was put aside.

A model whose attention cannot be had so (capped scores, states instead of keys) goes through `plain_decoding`.
"""

import logging
import queue
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from transformers import PreTrainedModel

from tasks.shared.engines.plain_decoding import decode_plainly
from tasks.shared.engines.prompt_groups import Group, Queue, WaitingPrompt, group_prompts
from tasks.shared.engines.protocol import Sampling
from tasks.shared.engines.slot_cache import IMPLEMENTATION, JoinPass, Pass, Prefix, SlotCache, StepPass
from tasks.shared.engines.token_choice import Decoded, RowDraws, StopRule, choose_tokens

log = logging.getLogger(__name__)

TOKENS_AT_ONCE = {"cpu": 65_536, "cuda": 262_144}
"""Most tokens (own prompt and completion limit of every row) that slots may come to hold. Ours."""
JOIN_SHARE = 8
"""Rows join when this part of the slots is free, one in so many: joins of few rows cost more a row. Ours."""
ROWS_PER_LANE = 8
"""Fewest rows that are worth a lane of their own: each lane reads all weights at every step. Ours."""


def decode(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    rule: StopRule,
    *,
    draws: RowDraws | None,
    rows_at_once: int = 256,
    copies: int = 1,
) -> Iterator[Decoded]:
    """Continue every prompt (token ids) and yield each row as it ends.

    Rows k * copies to (k + 1) * copies - 1 continue prompt k. `draws[row]` are the numbers in [0, 1) of the tokens that
    the row may draw, [max_new_tokens]; None for greedy decoding. At most `rows_at_once` rows are decoded together.
    """
    groups = group_prompts(prompts, copies)
    slots = has_slots(model)
    longest = max(group.width if slots else len(group.prompts[0].ids) for group in groups) + sampling.max_new_tokens
    rows = max(1, min(rows_at_once, TOKENS_AT_ONCE[model.device.type] // longest, len(prompts) * copies))
    if not slots:
        yield from decode_plainly(model, prompts, sampling, rule, draws=draws, rows=rows, copies=copies)
        return
    lanes = _lanes(model, rows)
    waiting = Queue(groups)
    made = [_Lane(model, waiting, sampling, rule, draws, -(-rows // lanes)) for _ in range(lanes)]
    with _slots_of(model):
        if lanes == 1:
            yield from made[0].run()
        else:
            yield from _side_by_side(made, max(1, torch.get_num_threads() // lanes))


def _lanes(model: PreTrainedModel, rows: int) -> int:
    """How many lanes: one on a GPU, and where weights are parted over processes, which have to go in step."""
    parted = any(hasattr(parameter, "device_mesh") for parameter in model.parameters())
    if model.device.type != "cpu" or parted:
        return 1
    return max(1, min(torch.get_num_threads(), rows // ROWS_PER_LANE))


def _side_by_side(lanes: Sequence["_Lane"], threads: int) -> Iterator[Decoded]:
    """What lanes yield, each in a thread of its own with so many threads for its products."""
    done: queue.SimpleQueue[Decoded | BaseException | None] = queue.SimpleQueue()
    ended = threading.Event()
    before = torch.get_num_threads()
    # Both are a thread's own.
    precision, casts = torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu")

    def work(lane: _Lane) -> None:
        try:
            torch.set_num_threads(threads)
            with torch.autocast("cpu", dtype=precision, enabled=casts):
                for decoded in lane.run():
                    done.put(decoded)
                    if ended.is_set():
                        return
        except BaseException as error:
            done.put(error)
        finally:
            done.put(None)

    running = [threading.Thread(target=work, args=(lane,), daemon=True) for lane in lanes]
    for thread in running:
        thread.start()
    left = len(running)
    try:
        while left:
            item = done.get()
            if isinstance(item, BaseException):
                raise item
            if item is None:
                left -= 1
            else:
                yield item
    finally:
        ended.set()
        for lane in lanes:
            lane.stop()
        for thread in running:
            thread.join()
        # What a thread sets is also what later threads of the process begin with.
        torch.set_num_threads(before)


class _Lane:
    """Rows that are decoded together."""

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
        self._recent = torch.full((slots, recent), rule.pad_id, device=model.device)
        """The last tokens of each used slot, among which a stop text may stand."""

    def stop(self) -> None:
        """End at the next step."""
        self._stopped = True

    @torch.inference_mode()
    def run(self) -> Iterator[Decoded]:
        """Decode until nothing waits and no row is left."""
        while not self._stopped:
            free = self._slots - self._cache.count
            while free and (free * JOIN_SHARE >= self._slots or not self._cache.count):
                taken = self._waiting.take(free)
                if taken is None:
                    break
                yield from self._take_in(*taken)
                free = self._slots - self._cache.count
            if not self._cache.count:
                return
            step = StepPass(self._cache)
            logits = _forward(self._model, self._recent[: self._cache.count, -1:], step, step.positions())
            step.done()
            yield from self._write(logits, 0)

    def _take_in(self, group: Group, prompts: Sequence[WaitingPrompt]) -> Iterator[Decoded]:
        if group.shared:
            with group.making:
                if group.prefix is None:
                    group.prefix = _read_prefix(self._model, prompts[0].ids[: group.shared])
        first = self._cache.count
        own = [prompt.ids[group.shared :] for prompt in prompts]
        join = JoinPass(self._cache, group.prefix, [len(ids) for ids in own], [len(prompt.rows) for prompt in prompts])
        width = max(map(len, own))
        ids = [[self._rule.pad_id] * (width - len(tokens)) + list(tokens) for tokens in own]
        logits = _forward(self._model, torch.tensor(ids, device=self._model.device), join, join.positions())
        of = join.done()
        for prompt in prompts:
            self._rows.extend(prompt.rows)
            self._written.extend([] for _ in prompt.rows)
        if self._draws is not None:
            for slot in range(first, self._cache.count):
                self._numbers[slot] = self._draws[self._rows[slot]]
        self._recent[first : self._cache.count] = self._rule.pad_id
        yield from self._write(logits[of], first)

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


def _forward(model: PreTrainedModel, ids: torch.Tensor, slots: Pass, positions: torch.Tensor) -> torch.Tensor:
    """Logits behind the last token of every row: [rows, vocabulary]."""
    output = model(input_ids=ids, position_ids=positions, use_cache=False, logits_to_keep=1, slots=slots)
    return output.logits[:, -1]


def _read_prefix(model: PreTrainedModel, ids: Sequence[int]) -> Prefix:
    prefix = Prefix(tuple(ids))
    tokens = torch.tensor([list(ids)], device=model.device)
    _forward(model, tokens, prefix, torch.arange(len(ids), device=model.device)[None])
    return prefix


@contextmanager
def _slots_of(model: PreTrainedModel) -> Iterator[None]:
    """Let the model's attention go over slots."""
    former = model.config._attn_implementation
    model.set_attn_implementation(IMPLEMENTATION)
    try:
        yield
    finally:
        model.set_attn_implementation(former)


PROBE = ((5, 9, 6, 3, 8, 4, 7, 5, 6, 9), (5, 9, 6, 3, 8, 4, 7, 8))
"""Tokens that every vocabulary has: two prompts, of which all but the last few tokens are the same."""
PROBE_SHARED = 6
PROBE_TOLERANCE = {torch.float32: 1e-3}
COARSE_TOLERANCE = 0.05
"""Of the largest logit, for weights of less than 32 bits."""
_known: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


def has_slots(model: PreTrainedModel) -> bool:
    """Whether the model's logits over slots are those of a plain pass: tried once for each model."""
    if model not in _known:
        try:
            _known[model] = _agrees(model)
        except Exception as error:
            log.info("decoding plainly, as the model's attention cannot go over slots: %s", error)
            _known[model] = False
    return _known[model]


@torch.inference_mode()
def _agrees(model: PreTrainedModel) -> bool:
    plain = []
    for prompt in PROBE:
        ids = torch.tensor([prompt], device=model.device)
        plain.append(model(input_ids=ids, use_cache=False, logits_to_keep=1).logits[0, -1])
    with _slots_of(model):
        cache = SlotCache(len(PROBE), model.device)
        prefix = _read_prefix(model, PROBE[0][:PROBE_SHARED])
        own = [prompt[PROBE_SHARED:-1] for prompt in PROBE]
        width = max(map(len, own))
        join = JoinPass(cache, prefix, [len(ids) for ids in own], [1] * len(PROBE))
        ids = torch.tensor([[0] * (width - len(tokens)) + list(tokens) for tokens in own], device=model.device)
        _forward(model, ids, join, join.positions())
        join.done()
        step = StepPass(cache)
        last = torch.tensor([[prompt[-1]] for prompt in PROBE], device=model.device)
        slots = _forward(model, last, step, step.positions())
    expected = torch.stack(plain).float()
    tolerance = PROBE_TOLERANCE.get(slots.dtype, COARSE_TOLERANCE)
    return bool((slots.float() - expected).abs().max() <= tolerance * expected.abs().max())
