"""Rows over slots: shared beginnings, windows, lanes and late joins change nothing about what a row writes."""

import threading
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
from accelerate.utils import convert_outputs_to_fp32
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    Gemma2Config,
    Gemma2ForCausalLM,
    Gemma3ForCausalLM,
    Gemma3TextConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.generation.stopping_criteria import StopStringCriteria

from tasks.errors import Permanent
from tasks.shared.engines.decoding import loop
from tasks.shared.engines.decoding.eligibility import has_slots
from tasks.shared.engines.decoding.loop import decode
from tasks.shared.engines.decoding.plain import decode_plainly
from tasks.shared.engines.decoding.prompt_groups import group_prompts
from tasks.shared.engines.decoding.token_choice import Decoded, SeededDraws, StopRule
from tasks.shared.engines.protocol import Sampling

END, PAD, NEW = 1, 0, 12
RULE = StopRule([END], PAD)
GREEDY = Sampling(temperature=0, max_new_tokens=NEW)
SMALL = {
    "vocab_size": 64,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "head_dim": 8,
    "max_position_embeddings": 512,
    "initializer_range": 0.4,
}
WINDOW = {"sliding_window": 20}


def model_of(name: str) -> PreTrainedModel:
    """A small model with random weights and the attention of a family."""
    torch.manual_seed(0)
    made = {
        "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
        "qwen3": lambda: Qwen3ForCausalLM(Qwen3Config(**SMALL)),
        "mistral": lambda: MistralForCausalLM(MistralConfig(**SMALL, **WINDOW)),
        "gemma3": lambda: Gemma3ForCausalLM(
            Gemma3TextConfig(
                **SMALL, **WINDOW, layer_types=["sliding_attention", "full_attention", "sliding_attention"]
            )
        ),
        "gemma2": lambda: Gemma2ForCausalLM(Gemma2Config(**SMALL, **WINDOW)),
    }
    return made[name]().eval()


def prompts_of(count: int) -> list[list[int]]:
    """Prompts of which two groups begin with 70 tokens of their own, and a third has nothing in common."""
    draw = torch.Generator().manual_seed(1)
    heads = [torch.randint(2, 64, (size,), generator=draw).tolist() for size in (70, 75, 0)]
    tails = [torch.randint(2, 64, (5 + number % 9,), generator=draw).tolist() for number in range(count)]
    return [heads[number % 3] + tail for number, tail in enumerate(tails)]


def alone(model: PreTrainedModel, prompt: Sequence[int]) -> list[int]:
    written = model.generate(
        torch.tensor([prompt]), do_sample=False, max_new_tokens=NEW, eos_token_id=END, pad_token_id=PAD
    )
    return written[0, len(prompt) :].tolist()


def by_row(decoded: Sequence[Decoded]) -> dict[int, list[int]]:
    found = {done.row: done.tokens for done in decoded}
    assert len(found) == len(decoded)
    return found


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral", "gemma3"])
@pytest.mark.parametrize("rows_at_once", [64, 5])
def test_every_row_is_what_generate_writes_for_its_prompt_alone(family: str, rows_at_once: int) -> None:
    model, prompts = model_of(family), prompts_of(18)
    assert has_slots(model)
    assert [group.shared for group in group_prompts(prompts, 1)] == [75, 70, 0]
    found = by_row(list(decode(model, prompts, GREEDY, RULE, draws=None, rows_at_once=rows_at_once)))
    assert found == {row: alone(model, prompt) for row, prompt in enumerate(prompts)}
    assert model.config._attn_implementation == "sdpa"


def test_a_model_that_caps_its_scores_is_decoded_plainly() -> None:
    model, prompts = model_of("gemma2"), prompts_of(6)
    assert not has_slots(model)
    found = by_row(list(decode(model, prompts, GREEDY, RULE, draws=None, rows_at_once=4)))
    assert found == {row: alone(model, prompt) for row, prompt in enumerate(prompts)}


@pytest.mark.parametrize("sampling", [Sampling(top_p=1.0, max_new_tokens=NEW), Sampling(max_new_tokens=NEW)])
def test_lanes_copies_and_slots_do_not_move_a_draw(sampling: Sampling, monkeypatch: pytest.MonkeyPatch) -> None:
    model, prompts = model_of("llama"), prompts_of(12)
    draws = SeededDraws(list(range(48)), NEW)
    whole = by_row(list(decode(model, prompts, sampling, RULE, draws=draws, copies=4)))
    repeated = [prompt for prompt in prompts for _ in range(4)]
    assert by_row(list(decode(model, repeated, sampling, RULE, draws=draws, rows_at_once=7))) == whole
    monkeypatch.setattr(loop, "_lanes", lambda *_: 3)
    assert by_row(list(decode(model, prompts, sampling, RULE, draws=draws, copies=4, rows_at_once=9))) == whole
    assert len({tuple(tokens) for tokens in whole.values()}) > 40


def test_a_stop_text_is_met_by_rows_that_joined_at_different_times(talking_model: Path) -> None:
    """Against the plain loop, which gives the criterion everything that a row wrote."""
    model, tokenizer = AutoModelForCausalLM.from_pretrained(talking_model), AutoTokenizer.from_pretrained(talking_model)
    prompts = [tokenizer(f"Q: {number * 7}?\nA:")["input_ids"] for number in range(40)]
    stop = StopStringCriteria(tokenizer, ["e", "ab"])
    rule = StopRule([tokenizer.eos_token_id], tokenizer.pad_token_id, stop)
    sampling, draws = Sampling(top_p=1.0, max_new_tokens=40), SeededDraws(list(range(40)), 40)
    plain = by_row(list(decode_plainly(model, prompts, sampling, rule, draws, 40)))
    assert by_row(list(decode(model, prompts, sampling, rule, draws=draws, rows_at_once=6))) == plain
    assert len({len(tokens) for tokens in plain.values()}) > 5


def test_whoever_stops_reading_ends_the_lanes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_lanes", lambda *_: 2)
    before, threads = threading.active_count(), torch.get_num_threads()
    sampling = Sampling(temperature=0, max_new_tokens=400)
    rows = decode(model_of("llama"), prompts_of(16), sampling, StopRule([], PAD), draws=None, rows_at_once=4)
    next(rows)
    assert threading.active_count() == before + 2
    rows.close()
    assert (threading.active_count(), torch.get_num_threads()) == (before, threads)


def test_an_error_in_a_lane_is_the_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "_lanes", lambda *_: 2)
    model = model_of("llama")
    assert has_slots(model)
    model.lm_head.weight.data[5] = torch.nan
    before = threading.active_count()
    with pytest.raises(Permanent, match="not finite"):
        list(decode(model, prompts_of(16), GREEDY, RULE, draws=None))
    assert threading.active_count() == before


def test_lanes_work_in_the_precision_of_their_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    """Autocast is a thread's own setting."""
    model, prompts, seen = model_of("llama"), prompts_of(16), set()
    assert has_slots(model)
    model.model.layers[0].mlp.register_forward_hook(lambda _m, _i, output: seen.add(output.dtype))
    monkeypatch.setattr(loop, "_lanes", lambda *_: 2)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        list(decode(model, prompts, GREEDY, RULE, draws=None))
    assert seen == {torch.bfloat16}


def test_copies_of_one_prompt_are_one_prompt() -> None:
    groups = group_prompts([[5, 6, 7], [5, 6, 7], [9]], copies=2)
    assert [(prompt.ids, prompt.rows) for group in groups for prompt in group.prompts] == [
        ((5, 6, 7), [0, 1, 2, 3]),
        ((9,), [4, 5]),
    ]


def test_a_window_that_only_the_mask_knows_is_decoded_plainly() -> None:
    """A probe of a few tokens cannot see it."""
    torch.manual_seed(0)
    experts = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16}
    windows = {"use_sliding_window": True, "layer_types": ["sliding_attention"] * 3, **WINDOW}
    config = Qwen2MoeConfig(**SMALL, **windows, **experts, shared_expert_intermediate_size=16)
    model = Qwen2MoeForCausalLM(config).eval()
    prompts = prompts_of(6)
    assert not has_slots(model)
    found = by_row(list(decode(model, prompts, GREEDY, RULE, draws=None)))
    assert found == {row: alone(model, prompt) for row, prompt in enumerate(prompts)}


def test_angles_that_move_with_the_longest_row_are_decoded_plainly() -> None:
    rope = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10_000.0}
    assert not has_slots(LlamaForCausalLM(LlamaConfig(**SMALL, rope_parameters=rope)).eval())


def test_half_precision_is_judged_as_such() -> None:
    """Training in bfloat16 returns logits of 32 bits from arithmetic of 16."""
    model = model_of("llama")
    model.forward = convert_outputs_to_fp32(model.forward)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert has_slots(model)


def test_one_short_prompt_leaves_a_large_group_as_it_is() -> None:
    head = list(range(2, 52)) * 10
    prompts = [*([*head, 60, tail] for tail in range(2, 12)), [*head[:70], 55, 56]]
    assert [(group.shared, len(group.prompts)) for group in group_prompts(prompts, 1)] == [(501, 10), (0, 1)]


def test_padding_is_no_part_of_a_stop_text(talking_model: Path) -> None:
    model, tokenizer = AutoModelForCausalLM.from_pretrained(talking_model), AutoTokenizer.from_pretrained(talking_model)
    prompt = tokenizer("Q: 7?\nA:")["input_ids"]
    pad = tokenizer("!")["input_ids"][-1]
    sampling = Sampling(temperature=0, max_new_tokens=6)
    (free,) = decode(model, [prompt], sampling, StopRule([], pad), draws=None)
    stop = StopStringCriteria(tokenizer, ["!" + tokenizer.decode(free.tokens[:1])])
    (stopped,) = decode(model, [prompt], sampling, StopRule([], pad, stop), draws=None)
    assert stopped.tokens == free.tokens


def test_nothing_asked_for_is_nothing_decoded() -> None:
    assert list(decode(model_of("llama"), [], GREEDY, RULE, draws=None)) == []
    with pytest.raises(ValueError, match="without a token cannot be continued: number 1"):
        list(decode(model_of("llama"), [[5], []], GREEDY, RULE, draws=None))
