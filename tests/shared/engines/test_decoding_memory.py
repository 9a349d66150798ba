"""What the decode loop holds: slots and joins within their bounds, and no beginning longer than its rows need it."""

import weakref
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tasks.shared.engines.decoding import lane, loop
from tasks.shared.engines.decoding.loop import decode
from tasks.shared.engines.decoding.passes import JoinPass
from tasks.shared.engines.decoding.slot_cache import GROWTH_TOKENS, Prefix, SlotCache
from tasks.shared.engines.decoding.token_choice import StopRule
from tasks.shared.engines.protocol import Sampling

LAYERS, NEW, GROUPS, GROUP_ROWS, SHARED = 2, 40, 4, 6, 80
SAMPLING, RULE = Sampling(temperature=0, max_new_tokens=NEW), StopRule([1], 0)


@pytest.fixture(scope="module")
def model() -> PreTrainedModel:
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=64,
        hidden_size=32,
        num_hidden_layers=LAYERS,
        num_attention_heads=4,
        num_key_value_heads=2,
        intermediate_size=48,
        max_position_embeddings=512,
        initializer_range=0.4,
    )
    return LlamaForCausalLM(config).eval()


@pytest.fixture
def prompts() -> list[list[int]]:
    """Groups of prompts that begin alike, one group behind the other, and as many with nothing in common."""
    draw = torch.Generator().manual_seed(1)

    def tokens(count: int) -> list[int]:
        return torch.randint(2, 64, (count,), generator=draw).tolist()

    heads = [tokens(SHARED + group) for group in range(GROUPS)]
    return [[*head, *tokens(5)] for head in heads for _ in range(GROUP_ROWS)] + [tokens(30) for _ in range(GROUP_ROWS)]


@pytest.fixture
def caches(monkeypatch: pytest.MonkeyPatch) -> list[SlotCache]:
    """Caches that are made from now on."""
    made: list[SlotCache] = []

    class Noted(SlotCache):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(self)

    monkeypatch.setattr(lane, "SlotCache", Noted)
    return made


@pytest.mark.parametrize("lanes", [1, 2])
def test_slots_hold_no_more_tokens_than_the_bound_and_what_they_grow_by(
    lanes: int,
    model: PreTrainedModel,
    prompts: list[list[int]],
    caches: list[SlotCache],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(loop.TOKENS_AT_ONCE, "cpu", 1_000)
    monkeypatch.setattr(loop, "_lanes", lambda *_: lanes)
    assert len(list(decode(model, prompts, SAMPLING, RULE, draws=None))) == len(prompts)
    longest = 30 + NEW
    assert len(caches) == lanes
    slots = sum(len(cache.begin) for cache in caches)
    assert slots == 1_000 // longest
    held = sum(tensor.nbytes for cache in caches for part in (cache._keys, cache._values) for tensor in part.values())
    a_token = 2 * LAYERS * model.config.num_key_value_heads * model.config.head_dim * 4
    assert 0 < held <= slots * (longest + max(GROWTH_TOKENS, longest // 4)) * a_token


def test_prompts_that_join_together_stay_within_the_bound_and_a_longer_one_joins_alone(
    model: PreTrainedModel, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    joined: list[tuple[int, int]] = []

    class Noted(JoinPass):
        def __init__(self, cache: SlotCache, prefix: Prefix | None, own: Sequence[Sequence[int]], copies: Any) -> None:
            super().__init__(cache, prefix, own, copies)
            joined.append((len(own), len(own) * (self.ids.shape[1] + (len(prefix) if prefix else 0))))

    monkeypatch.setattr(lane, "JoinPass", Noted)
    monkeypatch.setattr(loop, "_lanes", lambda *_: 1)
    monkeypatch.setitem(lane.JOIN_TOKENS, "cpu", 300)
    prompts = [[5] * 301, *prompts]
    assert len(list(decode(model, prompts, SAMPLING, RULE, draws=None))) == len(prompts)
    assert sum(number for number, _ in joined) == len(prompts)
    assert {number for number, tokens in joined if tokens > 300} == {1}
    assert max(number for number, _ in joined) > 3


@pytest.mark.parametrize("rows_at_once", [GROUP_ROWS // 2, 64])
def test_a_beginning_is_given_up_with_its_last_row(
    rows_at_once: int, model: PreTrainedModel, prompts: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    read, forward, live = lane.read_prefix, lane.forward, weakref.WeakSet[Prefix]()
    left = {(*prompt[:SHARED],): GROUP_ROWS for prompt in prompts if len(prompt) > SHARED}
    most: list[int] = []

    def reading(*args: Any) -> Prefix:
        prefix = read(*args)
        live.add(prefix)
        return prefix

    def passing(*args: Any) -> torch.Tensor:
        most.append(len(live))
        assert {prefix.ids[:SHARED] for prefix in live} <= {begin for begin, rows in left.items() if rows}
        return forward(*args)

    monkeypatch.setattr(Prefix, "__hash__", object.__hash__)
    monkeypatch.setattr(lane, "read_prefix", reading)
    monkeypatch.setattr(lane, "forward", passing)
    monkeypatch.setattr(loop, "_lanes", lambda *_: 1)
    for done in decode(model, prompts, SAMPLING, RULE, draws=None, rows_at_once=rows_at_once):
        begin = (*prompts[done.row][:SHARED],)
        if begin in left:
            left[begin] -= 1
    assert not any(left.values())
    assert max(most) == (2 if rows_at_once < GROUP_ROWS else GROUPS)
    assert not live
