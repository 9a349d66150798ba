"""The stage with its worker and a real model: every sample once, whatever happens on the way."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tasks.generate.config import GenerationConfig
from tasks.generate.heuristics import load_heuristics
from tasks.generate.task import assemble
from tasks.shared.engines.protocol import Sampling
from tasks.shared.sampling.job import GenerationJob, SampleSetJob
from tasks.shared.sampling.pool import Pool
from tasks.shared.sampling.schema import PROMPTS_FILE, SAMPLES, SAMPLES_FILE, WANTED
from tasks.shared.sampling.wanted import Prompt, wanted_rows
from tasks.shared.tables.parquet import check_schema, read_rows, write_parquet
from tasks.spine.stage.launch import run_worker
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tests.support.paths import ROOT, TINY_MODEL
from tests.support.small_world import TINY, World

pytestmark = pytest.mark.slow

RUNTIME = Runtime(device="cpu", batch_size=32, flush_rows=16)
SAMPLING = Sampling(top_p=1.0, max_new_tokens=48)


def config(**changes: Any) -> GenerationConfig:
    settings = {"heuristics": "tiny", "samples_per_heuristic": 1, "sampling": SAMPLING, "prompt": TINY}
    return GenerationConfig.model_validate(settings | changes)


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


def wanted(path: Path, count: int) -> None:
    prompts = [Prompt(f"{i:04d}", "", "", f"Q: Ann has {i} pens and gets {i + 7}. How many?\nA:") for i in range(count)]
    rows = wanted_rows(prompts, sampling=SAMPLING, model_digest="0" * 64, num_samples=2, seed=0)
    write_parquet(rows, path, WANTED)


@pytest.fixture
def job(tmp_path: Path) -> GenerationJob:
    wanted(tmp_path / "wanted.parquet", 100)
    samples = SampleSetJob(wanted=tmp_path / "wanted.parquet", pool=str(tmp_path / "pool"), sampling=SAMPLING)
    runtime = Runtime(device="cpu", batch_size=8, flush_rows=20, num_threads=1)
    return GenerationJob(model=TINY_MODEL, sets=(samples,), runtime=runtime)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_a_killed_worker_loses_only_the_batch_in_flight(
    job: GenerationJob, tmp_path: Path, how: signal.Signals
) -> None:
    folder, pool = tmp_path / "pool", Pool(str(tmp_path / "pool"))
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "job.json").write_text(job.model_dump_json())
    child = subprocess.Popen([sys.executable, "-m", "tasks.shared.sampling.worker", str(tmp_path / "work")], cwd=ROOT)
    while len(list(folder.glob("*.parquet"))) < 3 and child.poll() is None:
        time.sleep(0.02)
    child.send_signal(how)
    child.wait()
    written = {path.name: path.read_bytes() for path in folder.glob("*.parquet")}
    held = len(pool.scan().batch_of)
    assert 60 <= held < 200
    result = run_worker("tasks.shared.sampling.worker", job, tmp_path / "again", timeout_s=300)
    assert result["generated"] == 200 - held
    index = pool.scan()
    assert len(index.batch_of) == 200
    assert index.duplicates == 0
    assert all((folder / name).read_bytes() == content for name, content in written.items())


def test_the_worker_reports_how_it_fares(job: GenerationJob, tmp_path: Path) -> None:
    lines: list[dict[str, Any]] = []
    run_worker("tasks.shared.sampling.worker", job, tmp_path / "work", timeout_s=300, on_progress=lines.append)
    assert lines[0]["done"] == 0
    assert (lines[-1]["done"], lines[-1]["total"], lines[-1]["unit"]) == (200, 200, "samples")
    assert set(lines[-1]["values"]) == {"tokens_per_s", "truncated_share", "mean_tokens"}


def test_two_runs_at_once_agree_in_the_end(job: GenerationJob, tmp_path: Path) -> None:
    """Two stages may want the same samples; each key ends up with one text for both."""
    children = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "job.json").write_text(job.model_dump_json())
        command = [sys.executable, "-m", "tasks.shared.sampling.worker", str(tmp_path / name)]
        children.append(subprocess.Popen(command, cwd=ROOT))
    assert [child.wait() for child in children] == [0, 0]
    pool = Pool(str(tmp_path / "pool"))
    index = pool.scan()
    assert len(index.batch_of) == 200
    asked = [{"key": key, "question_id": key, "heuristic": "", "sample_index": 0} for key in sorted(index.batch_of)]
    assert list(pool.ordered(asked, index)) == list(pool.ordered(asked, pool.scan()))
