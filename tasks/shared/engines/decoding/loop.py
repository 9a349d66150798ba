"""The decode loop of the transformers engine, which also writes the rollouts of training.

`generate` of transformers carries every row to the end of the longest one, copies all keys and values at every step and
reads what prompts have in common anew for each of them. Here a row that ends makes room for the next, keys and values
are written in place, and a common beginning is read once (`slot_cache`). On a CPU each core decodes rows of its own
(a lane): threads that share one matrix product wait for each other at its end, and on a machine with other work for
whoever was put aside.

A model whose attention cannot be had so (capped scores, states instead of keys) goes through `plain`.
"""

import queue
import threading
from collections.abc import Iterator, Sequence

import torch
from transformers import PreTrainedModel

from tasks.shared.engines.decoding.eligibility import has_slots, slots_of
from tasks.shared.engines.decoding.lane import DecodeLane
from tasks.shared.engines.decoding.plain import decode_plainly
from tasks.shared.engines.decoding.prompt_groups import Queue, group_prompts
from tasks.shared.engines.decoding.token_choice import Decoded, RowDraws, StopRule
from tasks.shared.engines.protocol import Sampling

TOKENS_AT_ONCE = {"cpu": 65_536, "cuda": 262_144}
"""Most tokens (own prompt and completion limit of every row) that slots may come to hold. Ours."""
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
    if not prompts:
        return
    groups = group_prompts(prompts, copies)
    slots = has_slots(model)
    longest = max(group.width if slots else len(group.prompts[0].ids) for group in groups) + sampling.max_new_tokens
    rows = max(1, min(rows_at_once, TOKENS_AT_ONCE[model.device.type] // longest, len(prompts) * copies))
    if not slots:
        repeated = [prompt for prompt in prompts for _ in range(copies)]
        yield from decode_plainly(model, repeated, sampling, rule, draws, rows)
        return
    lanes = _lanes(model, rows)
    waiting = Queue(groups)
    # A beginning is given up with its last row.
    del groups
    shares = [rows // lanes + (number < rows % lanes) for number in range(lanes)]
    made = [DecodeLane(model, waiting, sampling, rule, draws, slots) for slots in shares]
    with slots_of(model):
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


def _side_by_side(lanes: Sequence["DecodeLane"], threads: int) -> Iterator[Decoded]:
    """What lanes yield, each in a thread of its own with so many threads for its products."""
    done: queue.SimpleQueue[Decoded | BaseException | None] = queue.SimpleQueue()
    ended = threading.Event()
    before = torch.get_num_threads()
    # Both are a thread's own.
    precision, casts = torch.get_autocast_dtype("cpu"), torch.is_autocast_enabled("cpu")

    def work(lane: DecodeLane) -> None:
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
