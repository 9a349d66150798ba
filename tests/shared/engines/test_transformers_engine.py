"""The decode loop against `generate` of transformers, and what the engine makes of it."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tasks.errors import Permanent
from tasks.shared.engines.decoding import token_choice
from tasks.shared.engines.decoding.token_choice import choose_tokens
from tasks.shared.engines.protocol import Completion, PromptTooLong, Request, Sampling
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.engines.transformers_engine import TransformersEngine
from tasks.tiny.problems import generate_problems
from tasks.tiny.styles import METHODS
from tests.support.talking_model import END
from tests.support.thinking_model import CLOSE, save_thinking_model

GREEDY = Sampling(temperature=0, max_new_tokens=48)
DRAWS = torch.rand(40_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def requests(count: int) -> list[Request]:
    """Prompts of the small world, of several lengths."""
    methods = [f"\nMethod: {name}" if name else "" for name in ("", *METHODS.values())]
    return [
        Request(f"k{i:03d}", f"Q: {problem.question}{methods[i % len(methods)]}\nA:", i)
        for i, problem in enumerate(generate_problems("dev", count, seed=0))
    ]


def engine(model: Path, batch_size: int = 16) -> TransformersEngine:
    return TransformersEngine(model, device="cpu", dtype="float32", batch_size=batch_size)


def completions(model: Path, sampling: Sampling, count: int = 40, batch_size: int = 16) -> dict[str, Completion]:
    found = list(engine(model, batch_size).stream(requests(count), sampling))
    assert Counter(item.key for item in found) == Counter(item.key for item in requests(count))
    return {item.key: item for item in found}


def test_greedy_text_is_that_of_generate_alone(tiny_model: Path) -> None:
    """Batched, padded and with rows leaving early, every row is what transformers writes for it on its own."""
    found = completions(tiny_model, GREEDY)
    tokenizer = load_tokenizer(tiny_model)
    model = AutoModelForCausalLM.from_pretrained(tiny_model).eval()
    for request in requests(40)[::3]:
        ids = tokenizer(request.prompt, return_tensors="pt")["input_ids"]
        alone = model.generate(ids, do_sample=False, max_new_tokens=48, pad_token_id=tokenizer.pad_token_id)[0]
        written = alone[ids.shape[1] :]
        mine = found[request.key]
        assert mine.text == tokenizer.decode(written, skip_special_tokens=True)
        assert mine.completion_tokens == len(written)
        assert mine.prompt_tokens == ids.shape[1]
        assert mine.finish_reason == ("stop" if written[-1] == tokenizer.eos_token_id else "length")


def test_some_rows_end_early_and_some_are_cut(tiny_model: Path) -> None:
    found = completions(tiny_model, Sampling(max_new_tokens=24), count=64)
    reasons = Counter(item.finish_reason for item in found.values())
    assert min(reasons["stop"], reasons["length"]) > 5
    assert all(item.completion_tokens == 24 for item in found.values() if item.finish_reason == "length")
    assert all(item.completion_tokens <= 24 for item in found.values())


@pytest.mark.parametrize(
    "sampling", [Sampling(top_p=1.0, max_new_tokens=24), Sampling(top_p=0.9, top_k=40, max_new_tokens=24)]
)
def test_a_draw_belongs_to_its_request_whatever_stands_beside_it(talking_model: Path, sampling: Sampling) -> None:
    whole = completions(talking_model, sampling)
    assert completions(talking_model, sampling, batch_size=7) == whole
    left = requests(40)[23:]
    assert {item.key: item for item in engine(talking_model).stream(left, sampling)} == {
        request.key: whole[request.key] for request in left
    }


def test_other_seeds_give_other_text(talking_model: Path) -> None:
    one = completions(talking_model, Sampling(max_new_tokens=24))
    moved = [Request(item.key, item.prompt, item.seed + 1) for item in requests(40)]
    other = {item.key: item for item in engine(talking_model).stream(moved, Sampling(max_new_tokens=24))}
    assert sum(other[key].text != one[key].text for key in one) > 30


def test_samples_of_one_prompt_differ(talking_model: Path) -> None:
    (request,) = requests(1)
    same = [Request(str(index), request.prompt, index) for index in range(16)]
    texts = {item.text for item in engine(talking_model).stream(same, Sampling(max_new_tokens=24))}
    assert len(texts) > 12


def test_a_stop_text_ends_the_completion_and_is_cut_off(tiny_model: Path) -> None:
    free = completions(tiny_model, GREEDY)
    stop = "0."
    stopped = completions(tiny_model, GREEDY.model_copy(update={"stop": (stop,)}))
    assert any(stop in item.text for item in free.values())
    for key, item in stopped.items():
        before, found, _ = free[key].text.partition(stop)
        assert item.text == before
        if found:
            assert item.finish_reason == "stop"
            assert item.completion_tokens <= free[key].completion_tokens


def test_special_tokens_stay_in_the_text_and_the_end_token_does_not(tmp_path: Path) -> None:
    kept = completions(save_thinking_model(tmp_path), Sampling(top_p=1.0, max_new_tokens=24))
    assert sum(CLOSE in item.text for item in kept.values()) > 20
    assert not any(END in item.text for item in kept.values())
    assert {item.finish_reason for item in kept.values()} == {"stop", "length"}


def test_batch_size_does_not_change_greedy_text(tiny_model: Path) -> None:
    assert completions(tiny_model, GREEDY, batch_size=1, count=12) == completions(tiny_model, GREEDY, count=12)


def test_a_prompt_that_does_not_fit_is_named(tiny_model: Path) -> None:
    long = [Request("short", "a", 0), Request("long", "x " * 4000, 0)]
    with pytest.raises(PromptTooLong, match=r"request long: a prompt of \d+ tokens .* context of \d+"):
        list(engine(tiny_model).stream(long, GREEDY))


@pytest.mark.parametrize(
    ("sampling", "allowed"),
    [
        (Sampling(temperature=0), {3}),
        (Sampling(top_p=1.0), {0, 1, 2, 3}),
        (Sampling(top_p=1.0, top_k=2), {2, 3}),
        (Sampling(top_p=0.6), {2, 3}),
        (Sampling(top_p=0.01), {3}),
        (Sampling(temperature=2.0, top_p=0.45), {2, 3}),
    ],
)
def test_only_likely_tokens_are_drawn(sampling: Sampling, allowed: set[int]) -> None:
    logits = torch.tensor([[0.05, 0.15, 0.3, 0.5]]).log().repeat(2000, 1)
    assert set(choose_tokens(logits, sampling, DRAWS[:2000]).tolist()) == allowed


def test_draws_have_the_right_frequencies() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log().repeat(40_000, 1)
    drawn = choose_tokens(logits, Sampling(top_p=0.7), DRAWS)
    shares = torch.bincount(drawn, minlength=4) / len(drawn)
    assert shares.tolist() == pytest.approx([0, 0, 3 / 7, 4 / 7], abs=0.01)
    shares = torch.bincount(choose_tokens(logits, Sampling(top_p=1.0), DRAWS), minlength=4) / len(logits)
    assert shares.tolist() == pytest.approx([0.1, 0.2, 0.3, 0.4], abs=0.01)


def test_a_nucleus_wider_than_what_is_put_in_order_first_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    logits = torch.randn(300, 50, generator=torch.Generator().manual_seed(0))
    logits[::2] *= 20
    whole = choose_tokens(logits, Sampling(top_p=0.9), DRAWS[:300])
    monkeypatch.setattr(token_choice, "LIKELIEST", 4)
    assert choose_tokens(logits, Sampling(top_p=0.9), DRAWS[:300]).tolist() == whole.tolist()


@pytest.mark.parametrize("top_p", [1.0, 0.5])
def test_no_draw_brings_a_token_without_probability(top_p: float) -> None:
    """At both ends of the numbers that are drawn, where most of the vocabulary is out of the question."""
    logits = torch.full((2, 1000), -torch.inf)
    logits[:, 300], logits[:, 700] = 0.0, -0.1
    edges = torch.tensor([0.0, 1 - 2**-53], dtype=torch.float64)
    assert set(choose_tokens(logits, Sampling(top_p=top_p), edges).tolist()) <= {300, 700}


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_logits_that_are_not_finite_stop_the_stage(value: float, temperature: float) -> None:
    logits = torch.zeros(3, 8)
    logits[1, 5] = value
    with pytest.raises(Permanent, match=r"not finite: .*runtime\.dtype=float32"):
        choose_tokens(logits, Sampling(temperature=temperature), DRAWS[:3])
