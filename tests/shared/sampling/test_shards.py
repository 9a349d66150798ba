"""Shards: parts that fill the pool before a stage reads it, with the very samples that it would make alone."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tasks.evaluate.config import EvaluateConfig
from tasks.evaluate.task import EVALUATE, measure, wanted_samples
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.sampling.sampler import fill
from tasks.shared.sampling.schema import SAMPLES_FILE
from tasks.shared.sampling.task import Shards, fill_part
from tasks.shared.sampling.wanted import Prompt, Wanted
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.stage import Build
from tasks.spine.store.runtime import Runtime
from tests.bench.bare import Silent
from tests.support.small_world import TINY, World

pytestmark = pytest.mark.slow

RUNTIME = Runtime(device="cpu", num_threads=1, num_verifiers=1)
SHORT = Sampling(top_p=1.0, max_new_tokens=12).model_dump()


def pooled(world: World) -> Counter[str]:
    """Keys in all pools, as often as they were generated."""
    batches = (world.home / "store" / "pool").glob("*/*.parquet")
    return Counter(row["key"] for path in batches for row in read_rows(path, ["key"]))


def test_two_shards_make_what_the_stage_alone_would_want(world: World) -> None:
    """What an evaluation wants, whose two benchmarks ask the same questions, and so for the same samples."""
    config = EvaluateConfig(benchmarks=("tiny-test", "tiny-dev"), samples=2, sampling=SHORT, prompt=TINY, resamples=100)
    parents = {"questions.tiny-test": world.questions, "questions.tiny-dev": world.questions, "model": world.model}
    shards = Shards(EVALUATE, wanted_samples, config, RUNTIME, parents, 2)
    before = pooled(world)
    assert [fill_part(shards, index, Silent()) for index in range(2)] == [5 * 3, 5 * 3]
    made = pooled(world) - before
    assert set(made.values()) == {1}
    assert [fill_part(shards, index, Silent()) for index in range(2)] == [0, 0]
    samples = world.rows(measure(config, RUNTIME, **parents), SAMPLES_FILE)
    assert len(samples) == len(made) * 2
    assert pooled(world) - before == made, "nothing was left for the stage"
    assert not list((world.home / "work").iterdir())


def test_prompts_are_rendered_once_for_all_their_samplings(world: World, tmp_path: Path) -> None:
    rendered: list[str] = []

    def render(text: str) -> list[Prompt]:
        rendered.append(text)
        return [Prompt(text, text, "", f"Q: {text}\nA:")]

    wanted = Wanted(
        sources={"one": ["1+1?", "2+2?"], "two": ["3+3?"]},
        render=render,
        samplings=(Sampling(max_new_tokens=2), Sampling(temperature=0, max_new_tokens=2)),
        num_samples=2,
        seed=7,
        form=PromptForm(),
    )
    build = Build(
        StageCall(Stage("any", 1, "any"), print, None, RUNTIME, {"model": world.model}), world.store, tmp_path, Silent()
    )
    samples = fill(build, wanted)
    assert (samples.generated, samples.count) == (9, 9)
    found: list[Any] = [(row["question_id"], row["sample_index"]) for row in samples.rows("one")]
    assert found == [("1+1?", 0), ("1+1?", 1), ("2+2?", 0), ("2+2?", 1), ("1+1?", -1), ("2+2?", -1)]
    assert [prompt.text for prompt in samples.prompts("two")] == ["Q: 3+3?\nA:"]
    assert rendered == ["1+1?", "2+2?", "3+3?"]
