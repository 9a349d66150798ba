"""Sample keys: what changes them and what does not."""

import logging

import pytest

from tasks.generate.config import GenerateConfig
from tasks.generate.heuristics import Heuristic, load_heuristics
from tasks.generate.plan import heuristic_prompts, with_first_logged
from tasks.shared.engines.protocol import Sampling
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.wanted import Prompt, plain_prompts, pool_name, wanted_rows
from tasks.spine.store.fingerprint import fingerprint

PROMPT = Prompt("q1", "1+1?", "analogy", "Q: 1+1?\nMethod: analogy\nA:")
MODEL = "a" * 64
RENDERER = Renderer(PromptConfig(style="plain"))


def keys(prompt: Prompt = PROMPT, sampling: Sampling | None = None, model: str = MODEL, num: int = 4, seed: int = 0):
    rows = wanted_rows([prompt], sampling=sampling or Sampling(), model_digest=model, num_samples=num, seed=seed)
    return [row["key"] for row in rows]


def test_the_keys_of_this_version_are_pinned() -> None:
    """A change here makes every stored sample unreachable; it must be meant."""
    assert keys(num=2) == ["bf1a77ffc82c698aaf07d184f62fddd5", "584bd61109cfe226ab604b20b82b6d43"]
    assert pool_name(MODEL, Sampling()) == "c7688815a3947675"


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
        {"sampling": Sampling(keep_special_tokens=True)},
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


def test_prompts_come_question_by_question() -> None:
    heuristics = load_heuristics("tiny")
    prompts = list(heuristic_prompts([("q1", "1+1?"), ("q2", "2+2?")], heuristics, RENDERER))
    assert [prompt.question_id for prompt in prompts] == ["q1"] * 6 + ["q2"] * 6
    assert [prompt.heuristic for prompt in prompts[:6]] == sorted(heuristic.name for heuristic in heuristics)
    (plain,) = plain_prompts([("q1", "1+1?")], RENDERER)
    assert plain == Prompt("q1", "1+1?", "", RENDERER.plain("1+1?"))


def test_the_first_prompt_of_every_heuristic_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    prompts = list(heuristic_prompts([("q1", "1+1?"), ("q2", "2+2?")], load_heuristics("tiny"), RENDERER))
    with caplog.at_level(logging.INFO):
        assert list(with_first_logged(prompts)) == prompts
    assert [record.args[1] for record in caplog.records] == [prompt.text for prompt in prompts[:6]]


def test_a_stage_is_identified_by_what_its_heuristics_say(tmp_path) -> None:
    def stage_key(source: str) -> str:
        return fingerprint("generate", 1, GenerateConfig(heuristics=source), {})

    (tmp_path / "one.yaml").write_text("name: analogy\ninstruction: compare\n")
    first = stage_key(str(tmp_path))
    (tmp_path / "one.yaml").rename(tmp_path / "renamed.yaml")
    assert stage_key(str(tmp_path)) == first
    (tmp_path / "renamed.yaml").write_text("name: analogy\ninstruction: compare it\n")
    assert stage_key(str(tmp_path)) != first
    (tmp_path / "two.yaml").write_text("name: symmetry\ninstruction: mirror\n")
    payload = GenerateConfig(heuristics=str(tmp_path)).identity_payload()
    assert set(payload["heuristics"]) == {"analogy", "symmetry"}
    assert payload["heuristics"]["symmetry"] == Heuristic(name="symmetry", instruction="mirror").digest
