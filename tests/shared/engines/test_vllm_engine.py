"""The real vLLM engine on a CPU; starting it takes half a minute, so one engine and one model serve all tests."""

import shutil
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from tasks.shared.engines.protocol import Completion, Request, RequestsFailed, Sampling
from tasks.shared.engines.tokens import encode_prompts, load_tokenizer
from tasks.shared.engines.transformers_engine import TransformersEngine
from tasks.shared.engines.vllm_engine import CPU_STEP_TOKENS, ROOM_STEP, VllmEngine
from tasks.shared.models.files import SINGLE
from tasks.tiny import THINK_MODEL_DIR
from tasks.tiny.predictions import thinking_prompt
from tasks.tiny.problems import generate_problems
from tasks.tiny.styles import EOS
from tasks.tiny.texts import documents
from tasks.tiny.thinking import CLOSE

pytest.importorskip("vllm", reason="vLLM is not installed; install the extra 'cpu' or 'gpu'")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

GREEDY = Sampling(temperature=0, max_new_tokens=64)
LONG = "Q: 1+1?\nA:" * 60


def requests(count: int) -> list[Request]:
    return [
        Request(f"k{index}", f"Q: {problem.question}\nA:", index)
        for index, problem in enumerate(generate_problems("dev", count, seed=0))
    ]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model beside which lie other weights under its names, which must not be taken for it."""
    folder = Path(shutil.copytree(THINK_MODEL_DIR, tmp_path_factory.mktemp("vllm") / "model"))
    other = {name: torch.zeros_like(value) for name, value in load_file(folder / SINGLE).items()}
    for name in ("consolidated", "zzz"):
        save_file(other, folder / f"{name}.safetensors")
    return folder


@pytest.fixture(scope="module")
def engine(model: Path) -> Iterator[VllmEngine]:
    broken = packages_that_cannot_be_looked_at()
    assert not broken, f"vLLM looks into every imported module; import these in another process: {broken}"
    started = VllmEngine(model, device="cpu", dtype="float32", longest=[(LONG, GREEDY.max_new_tokens)])
    yield started
    started.close()


def packages_that_cannot_be_looked_at() -> list[str]:
    """Imported packages with a name whose fields raise, such as Flask's proxies outside of a request."""
    broken = set()
    for module in list(sys.modules.values()):
        for value in list(getattr(module, "__dict__", {}).values()):
            try:
                _ = hasattr(value, "__dict__") and vars(value)
            except Exception:
                broken.add(module.__name__.partition(".")[0])
    return sorted(broken)


def complete(engine: VllmEngine, asked: list[Request], sampling: Sampling) -> dict[str, Completion]:
    found = list(engine.stream(asked, sampling))
    assert Counter(item.key for item in found) == Counter(request.key for request in asked)
    return {item.key: item for item in found}


def test_greedy_text_is_that_of_transformers(engine: VllmEngine) -> None:
    """Two kernels may differ on a near tie, so nearly all rather than all."""
    asked = requests(60)
    other = TransformersEngine(THINK_MODEL_DIR, device="cpu", dtype="float32", batch_size=64)
    mine, theirs = complete(engine, asked, GREEDY), {item.key: item for item in other.stream(asked, GREEDY)}
    same = [key for key in mine if mine[key] == theirs[key]]
    assert len(same) >= 57


def test_it_starts_once_where_it_was_told_of_the_longest_prompt(engine: VllmEngine) -> None:
    complete(engine, requests(1), GREEDY)
    first = engine._llm
    longest = complete(engine, [Request("long", LONG, 0)], GREEDY)["long"]
    assert longest.prompt_tokens + GREEDY.max_new_tokens > ROOM_STEP
    assert engine._llm is first


def test_more_prompts_than_one_step_reads_are_drawn_from(engine: VllmEngine) -> None:
    """On a CPU vLLM ends where a prompt is read in two steps and its request has a seed."""
    asked = [Request(str(index), f"{index} {LONG}", index) for index in range(12)]
    found = complete(engine, asked, Sampling(top_p=1.0, max_new_tokens=4))
    assert sum(item.prompt_tokens for item in found.values()) > CPU_STEP_TOKENS


def test_truncation_is_told(engine: VllmEngine) -> None:
    found = complete(engine, requests(40), Sampling(top_p=1.0, max_new_tokens=14))
    reasons = Counter(item.finish_reason for item in found.values())
    assert reasons["length"] > 0
    assert all(item.completion_tokens == 14 for item in found.values() if item.finish_reason == "length")


def test_samples_of_one_prompt_differ(engine: VllmEngine) -> None:
    (request,) = requests(1)
    same = [Request(str(index), request.prompt, index) for index in range(16)]
    texts = {
        item.text for item in complete(engine, same, Sampling(temperature=2.0, top_p=1.0, max_new_tokens=24)).values()
    }
    assert len(texts) > 9


def test_a_draw_belongs_to_its_request_whatever_stands_beside_it(engine: VllmEngine) -> None:
    """Kernels may round otherwise in a batch of another shape, so nearly all rather than all."""
    sampling = Sampling(top_p=1.0, max_new_tokens=48)
    whole, left = complete(engine, requests(40), sampling), complete(engine, requests(40)[17:], sampling)
    assert sum(left[key] == whole[key] for key in left) >= len(left) - 1
    moved = [Request(item.key, item.prompt, item.seed + 1) for item in requests(40)]
    assert sum(complete(engine, moved, sampling)[key].text != whole[key].text for key in whole) > 20


def test_what_vllm_ends_in_no_usable_way_is_tried_again_and_fails_in_the_end(
    engine: VllmEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete(engine, requests(4), GREEDY)
    llm_engine = engine._llm.llm_engine
    step, seen = llm_engine.step, Counter[str]()
    ids = encode_prompts(load_tokenizer(THINK_MODEL_DIR), [item.prompt for item in requests(4)])
    endings = {0: ["abort"] * 9, 1: ["error"], 2: ["repetition"]}

    def troubled() -> list[Any]:
        outputs = step()
        for output in outputs:
            row = ids.index(list(output.prompt_token_ids))
            if output.finished and endings.get(row):
                seen[f"k{row}"] += 1
                output.outputs[0].finish_reason = endings[row].pop(0)
        return outputs

    monkeypatch.setattr(llm_engine, "step", troubled)
    found: dict[str, Completion] = {}
    with pytest.raises(RequestsFailed, match=r"k0: finish reason 'abort' \(3 attempts\)"):
        found.update((item.key, item) for item in engine.stream(requests(4), GREEDY))
    assert seen == {"k0": 3, "k1": 1, "k2": 1}
    assert sorted(found) == ["k1", "k2", "k3"]
    assert found["k2"].finish_reason == "length"


def test_stop_texts_are_cut_off(engine: VllmEngine) -> None:
    free = complete(engine, requests(40), GREEDY)
    stopped = complete(engine, requests(40), GREEDY.model_copy(update={"stop": ("0.",)}))
    assert any("0." in item.text for item in free.values())
    assert all("0." not in item.text for item in stopped.values())


def test_completions_come_as_they_finish(engine: VllmEngine) -> None:
    """Shorter ones first and not all at the end, so that a kill loses little."""
    lengths = [item.completion_tokens for item in engine.stream(requests(60), GREEDY)]
    assert lengths == sorted(lengths)
    assert lengths[0] < lengths[-1]


def test_a_stream_that_is_left_ends_its_requests(engine: VllmEngine) -> None:
    stream = engine.stream(requests(60), GREEDY)
    next(stream)
    stream.close()
    assert len(complete(engine, requests(20), GREEDY)) == 20


def test_special_tokens_stay_in_the_text(engine: VllmEngine) -> None:
    """As in the transformers engine: the tag is in the text, the end token is not, nothing is put around them."""
    asked = [
        Request(f"k{index}", thinking_prompt(document.text[: document.given_chars + 12], 16), index)
        for index, document in enumerate(documents("evaluation", 40, seed=0))
    ]
    keeping = GREEDY.model_copy(update={"max_new_tokens": 16})
    other = TransformersEngine(THINK_MODEL_DIR, device="cpu", dtype="float32", batch_size=64)
    kept, theirs = complete(engine, asked, keeping), {item.key: item for item in other.stream(asked, keeping)}
    assert sum(kept[key] == theirs[key] for key in kept) >= 38
    assert sum(CLOSE in item.text for item in kept.values()) > 10
    assert not any(EOS in item.text for item in kept.values())
    assert {item.finish_reason for item in kept.values()} == {"stop", "length"}
