"""Sample keys: what changes them and what does not."""

import logging

import pytest

from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.sampling.wanted import Prompt, Wanted, pool_name, wanted_rows
from tasks.spine.stage.gpus import WHOLE, Part

PROMPT = Prompt("q1", "1+1?", "analogy", "Q: 1+1?\nMethod: analogy\nA:")
MODEL = "a" * 64


def keys(prompt: Prompt = PROMPT, sampling: Sampling | None = None, model: str = MODEL, num: int = 4, seed: int = 0):
    rows = wanted_rows([prompt], sampling=sampling or Sampling(), model_digest=model, num_samples=num, seed=seed)
    return [row["key"] for row in rows]


def test_the_keys_of_this_version_are_pinned() -> None:
    """A change here makes every stored sample unreachable; it must be meant."""
    assert keys(num=2) == ["da64f5bc864170d0faeb3c8863196dcf", "6c8cc145d6822e98fa78c792820d2762"]
    assert pool_name(MODEL, Sampling()) == "48237511f2b5f6a2"


def test_more_samples_ask_for_the_difference_alone() -> None:
    assert keys(num=8)[:4] == keys(num=4)
    assert len(set(keys(num=8))) == 8


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": Prompt("q2", "1+1?", "analogy", PROMPT.text)},
        {"prompt": Prompt("q1", "1+2?", "analogy", PROMPT.text)},
        {"prompt": Prompt("q1", "1+1?", "analogy", PROMPT.text + " ")},
        {"sampling": Sampling(temperature=0.9)},
        {"sampling": Sampling(max_new_tokens=1023)},
        {"sampling": Sampling(stop=("\n",))},
        {"model": "b" * 64},
        {"seed": 1},
    ],
)
def test_whatever_changes_the_text_changes_every_key(changed: dict[str, object]) -> None:
    assert not set(keys()) & set(keys(**changed))


def test_the_name_of_a_heuristic_counts_only_through_its_prompt() -> None:
    assert keys(Prompt("q1", "1+1?", "another name", PROMPT.text)) == keys()


def test_greedy_is_one_sample_whatever_the_seed() -> None:
    greedy = Sampling(temperature=0)
    assert keys(sampling=greedy, num=8, seed=0) == keys(sampling=greedy, num=1, seed=5)
    (row,) = wanted_rows([PROMPT], sampling=greedy, model_digest=MODEL, num_samples=8, seed=0)
    assert row["sample_index"] == -1


def test_seeds_of_samples_differ_and_fit_into_31_bits() -> None:
    rows = list(wanted_rows([PROMPT], sampling=Sampling(), model_digest=MODEL, num_samples=64, seed=0))
    assert len({row["seed"] for row in rows}) == 64
    assert all(0 <= row["seed"] < 2**31 for row in rows)


def wanted(count: int, rendered: list[str]) -> Wanted[str]:
    """Two prompts of every source, and a note of each source that was rendered."""

    def render(source: str) -> list[Prompt]:
        rendered.append(source)
        return [Prompt(source, f"{source}?", heuristic, f"{heuristic} {source}") for heuristic in ("", "analogy")]

    sources = {"dev": map(str, range(count))}
    return Wanted(sources=sources, render=render, samplings=(Sampling(),), num_samples=1, seed=0, form=PromptForm())


@pytest.mark.parametrize("of", [1, 2, 3, 7, 20])
def test_parts_share_the_sources_out_and_render_nothing_else(of: int) -> None:
    whole = list(wanted(10, []).prompts("dev", WHOLE))
    found: list[Prompt] = []
    for index in range(of):
        rendered: list[str] = []
        found += wanted(10, rendered).prompts("dev", Part(index, of))
        assert rendered == [str(number) for number in range(10) if number % of == index]
    assert sorted(found, key=whole.index) == whole


def test_the_first_prompt_of_every_heuristic_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        prompts = list(wanted(3, []).prompts("dev", WHOLE))
    assert [record.args[2] for record in caplog.records] == [prompt.text for prompt in prompts[:2]]
