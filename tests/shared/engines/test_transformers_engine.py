"""The decode loop against `generate` of transformers, and what the engine makes of it."""

from collections import Counter
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM

from tasks.shared.engines.decoding import choose_tokens
from tasks.shared.engines.protocol import Completion, PromptTooLong, Request, Sampling
from tasks.shared.engines.tokens import load_tokenizer
from tasks.shared.engines.transformers_engine import TransformersEngine
from tasks.tiny.problems import generate_problems
from tasks.tiny.styles import METHODS
from tests.support.talking_model import END
from tests.support.thinking_model import CLOSE, save_thinking_model

GREEDY = Sampling(temperature=0, max_new_tokens=48)


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


def test_a_batch_depends_on_its_seeds_alone(talking_model: Path) -> None:
    one, two = (completions(talking_model, Sampling(max_new_tokens=24)) for _ in range(2))
    assert one == two
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
    generator = torch.Generator().manual_seed(0)
    assert set(choose_tokens(logits, sampling, generator).tolist()) == allowed


def test_draws_have_the_right_frequencies() -> None:
    logits = torch.tensor([[0.1, 0.2, 0.3, 0.4]]).log().repeat(40_000, 1)
    drawn = choose_tokens(logits, Sampling(top_p=0.7), torch.Generator().manual_seed(0))
    shares = torch.bincount(drawn, minlength=4) / len(drawn)
    assert shares.tolist() == pytest.approx([0, 0, 3 / 7, 4 / 7], abs=0.01)
