"""The stage with its worker and a real model: every sample once, and only what is missing is generated."""

from pathlib import Path
from typing import Any

import pytest

from tasks.generate.config import GenerateConfig
from tasks.generate.heuristics import load_heuristics
from tasks.generate.task import GENERATE, assemble, wanted_samples
from tasks.shared.engines.protocol import Sampling
from tasks.shared.sampling.schema import PROMPTS_FILE, SAMPLES, SAMPLES_FILE
from tasks.shared.sampling.task import Shards, fill_part
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.stage import Build
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tests.bench.bare import Silent
from tests.support.small_world import TINY, World
from tests.support.tables import check_schema

pytestmark = pytest.mark.slow

RUNTIME = Runtime(device="cpu", batch_size=32, flush_rows=16)
SAMPLING = Sampling(top_p=1.0, max_new_tokens=48)


def config(**changes: Any) -> GenerateConfig:
    settings = {"heuristics": "tiny", "samples_per_heuristic": 1, "sampling": SAMPLING, "prompt": TINY}
    return GenerateConfig.model_validate(settings | changes)


def generate(world: World, **changes: Any) -> ArtifactRef:
    return assemble(config(**changes), RUNTIME, questions=world.questions, model=world.model)


@pytest.fixture(scope="module")
def first(world: World) -> ArtifactRef:
    """Two samples of 10 questions under 6 heuristics."""
    return generate(world, samples_per_heuristic=2)


def test_every_question_is_solved_under_every_heuristic(world: World, first: ArtifactRef) -> None:
    check_schema(world.store.local(first) / SAMPLES_FILE, SAMPLES)
    samples = world.rows(first, SAMPLES_FILE)
    names = [heuristic.name for heuristic in load_heuristics("tiny")]
    found = [(row["question_id"], row["heuristic"], row["sample_index"]) for row in samples]
    assert found == [(f"{i:04d}", name, index) for i in range(10) for name in names for index in range(2)]
    prompts = world.rows(first, PROMPTS_FILE)
    assert [(row["question_id"], row["heuristic"]) for row in prompts] == [
        (f"{i:04d}", name) for i in range(10) for name in ["", *names]
    ]
    backward = [row["completion"] for row in samples if row["heuristic"] == "working backward"]
    assert sum(text.startswith(" End") for text in backward) > 15
    manifest = world.store.manifest(first)
    assert manifest.rows == {"samples": 120, "prompts": 70}
    assert manifest.ledger["generated"] == manifest.ledger["complete"] + manifest.ledger["truncated"] == 120
    assert manifest.summary["generated_now"] == 120
    assert [name.rpartition(" (")[0] for name in manifest.facts["heuristics"].split(", ")] == names
    (pool,) = manifest.pools
    assert list((world.home / "store" / pool).glob("*.parquet"))
    assert manifest.summary["generated_tokens"] == sum(row["completion_tokens"] for row in samples)
    assert set(manifest.summary["heuristics"]) == set(names)


def test_fewer_samples_of_one_heuristic_need_no_worker(world: World, first: ArtifactRef, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("name: analogy\n")
    before = world.pool_files()
    fewer = generate(world, heuristics=str(tmp_path), samples_per_heuristic=1)
    assert world.store.manifest(fewer).summary["generated_now"] == 0
    assert world.pool_files() == before
    expected = [r for r in world.rows(first, SAMPLES_FILE) if r["heuristic"] == "analogy" and r["sample_index"] == 0]
    assert world.rows(fewer, SAMPLES_FILE) == expected


def test_more_samples_and_another_heuristic_generate_only_the_difference(
    world: World, first: ArtifactRef, tmp_path: Path
) -> None:
    (tmp_path / "a.yaml").write_text("name: analogy\n")
    (tmp_path / "b.yaml").write_text("name: symmetry\n")
    before = world.pool_files()
    more = generate(world, heuristics=str(tmp_path), samples_per_heuristic=3)
    assert before.items() <= world.pool_files().items()
    manifest = world.store.manifest(more)
    assert (manifest.summary["from_pool"], manifest.summary["generated_now"]) == (20, 40)
    old = {row["key"]: row for row in world.rows(first, SAMPLES_FILE) if row["heuristic"] == "analogy"}
    new = {row["key"]: row for row in world.rows(more, SAMPLES_FILE)}
    assert old.items() <= new.items()


def test_a_changed_temperature_or_seed_never_meets_old_text(world: World, first: ArtifactRef) -> None:
    warm = generate(world, heuristics="plain", sampling=SAMPLING.model_copy(update={"temperature": 0.9}))
    other = generate(world, heuristics="plain", sampling=SAMPLING.model_copy(update={"temperature": 0.9}), seed=1)
    assert [world.store.manifest(ref).summary["from_pool"] for ref in (warm, other)] == [0, 0]
    texts = [[row["completion"] for row in world.rows(ref, SAMPLES_FILE)] for ref in (warm, other)]
    assert texts[0] != texts[1]


def test_damaged_batches_are_generated_anew_and_a_lost_artifact_is_not(world: World, first: ArtifactRef) -> None:
    world.store.files.remove(first.path)
    assert generate(world, samples_per_heuristic=2) == first
    assert world.store.manifest(first).summary["generated_now"] == 0
    keys = {row["key"] for row in world.rows(first, SAMPLES_FILE)}
    batches = [path for path in (world.home / "store" / "pool").glob("*/*.parquet")]
    batch, lost = next((path, n) for path in batches if (n := sum(r["key"] in keys for r in read_rows(path, ["key"]))))
    batch.write_bytes(batch.read_bytes()[:-20])
    world.store.files.remove(first.path)
    again = generate(world, samples_per_heuristic=2)
    assert world.store.manifest(again).summary["generated_now"] == lost
    assert batch.with_name(batch.name + ".corrupt").exists()
    assert {row["key"] for row in world.rows(again, SAMPLES_FILE)} == keys


def test_no_more_is_drawn_for_a_pair_that_has_enough_right_ones(world: World, first: ArtifactRef) -> None:
    """Round by round, from the same pool: what it spares a run without it draws, and a rerun draws the same."""
    stopping = {"samples_per_heuristic": 3, "early_stop": {"right": 1, "round_samples": 2}}
    stopped = generate(world, **stopping)
    everything = generate(world, samples_per_heuristic=3)
    gold = {row["id"]: row["answer"] for row in world.rows(world.questions, "questions.parquet")}
    samples = world.rows(everything, SAMPLES_FILE)
    enough = {
        (row["question_id"], row["heuristic"])
        for row in samples
        if row["sample_index"] < 2
        and row["finish_reason"] == "stop"
        and row["completion"].rstrip().endswith(f"#### {gold[row['question_id']]}")
    }
    assert 10 < len(enough) < 50
    expected = [r for r in samples if r["sample_index"] < 2 or (r["question_id"], r["heuristic"]) not in enough]
    assert world.rows(stopped, SAMPLES_FILE) == expected
    manifest, whole = world.store.manifest(stopped), world.store.manifest(everything)
    ledger = manifest.ledger
    assert (ledger["wanted"], ledger["spared"]) == (180, len(enough))
    assert ledger["wanted"] == ledger["spared"] + ledger["generated"]
    assert ledger["generated"] == ledger["truncated"] + ledger["rejected"] + ledger["complete"]
    rounds = [(tally["pairs"], tally["samples"], tally["had_enough"]) for tally in manifest.summary["rounds"]]
    assert rounds[0] == (60, 120, len(enough))
    assert rounds[1][:2] == (60 - len(enough), 60 - len(enough))
    assert manifest.summary["generated_now"] <= 60 - len(enough), "the first round is in the pool"
    assert whole.summary["generated_now"] <= len(enough), "so is what was drawn with a stop"
    assert whole.rows == {"samples": 180, "prompts": 70}
    world.store.files.remove(stopped.path)
    assert generate(world, **stopping) == stopped
    assert world.store.manifest(stopped).summary["generated_now"] == 0
    assert world.rows(stopped, SAMPLES_FILE) == expected


def test_all_rounds_of_an_early_stop_are_one_engine_start_and_a_killed_run_goes_on_where_it_was(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    rounds = {"seed": 5, "samples_per_heuristic": 4, "early_stop": {"right": 1, "round_samples": 1}}
    starts, asked = list[str](), list[int]()
    worker = Build.worker

    def counted(build: Build, module: str, job: Any, **options: Any) -> dict[str, Any]:
        starts.append(module)
        answer = options["answer"]

        def killed_in_the_third_round() -> dict[str, Any]:
            asked.append(len(asked))
            if len(asked) == 3:
                raise KeyboardInterrupt
            return answer()

        return worker(build, module, job, **options | {"answer": killed_in_the_third_round})

    monkeypatch.setattr(Build, "worker", counted)
    with pytest.raises(KeyboardInterrupt):
        generate(world, **rounds)
    assert (len(starts), len(asked)) == (1, 3)
    stopped = generate(world, **rounds)
    assert len(starts) == 2
    assert 4 <= len(asked) <= 5, "the fourth round, if it was due, and that there is no other"
    manifest = world.store.manifest(stopped)
    drawn = [tally["samples"] for tally in manifest.summary["rounds"]]
    assert len(drawn) == 4
    assert manifest.summary["generated_now"] == drawn[3], "three rounds were in the pool"
    whole = world.rows(generate(world, seed=5, samples_per_heuristic=4), SAMPLES_FILE)
    samples = world.rows(stopped, SAMPLES_FILE)
    keys = {row["key"] for row in samples}
    assert samples == [row for row in whole if row["key"] in keys]
    assert len(samples) == sum(drawn) < len(whole)


def test_shards_make_all_rounds_of_their_questions_and_leave_nothing_for_the_stage(world: World) -> None:
    stopping = config(seed=6, samples_per_heuristic=2, early_stop={"right": 1, "round_samples": 1})
    parents = {"questions": world.questions, "model": world.model}
    runtime = RUNTIME.model_copy(update={"num_verifiers": 1, "num_threads": 1})
    shards = Shards(GENERATE, wanted_samples, stopping, runtime, parents, 2)
    made = [fill_part(shards, index, Silent()) for index in range(2)]
    manifest = world.store.manifest(assemble(stopping, runtime, **parents))
    assert manifest.summary["generated_now"] == 0
    assert min(made) > 30, "more than the first round of half the pairs"
    assert sum(made) == manifest.rows["samples"] < 120
    assert len(manifest.summary["rounds"]) == 2
