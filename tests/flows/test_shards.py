"""Sampling split into shard tasks: the same samples, whatever the number of shards."""

import io
import signal
from pathlib import Path

import pytest
from rich.console import Console

from flows.progress.terminal import Lines
from flows.stages.evaluate import evaluate
from flows.stages.generate import generate
from tasks.shared.sampling.schema import SAMPLES_FILE
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.context import run_context_with
from tasks.spine.stage.gpus import VARIABLE
from tasks.spine.store.store import Store
from tasks.spine.tracking.course import Course
from tests.support.commands import GENERATION, SLOWLY, batches, gone, pooled, processes, start
from tests.support.small import run

pytestmark = pytest.mark.slow

FEW = {"questions.tiny.count": 6, "runtime.num_threads": 1}


def test_shards_fill_the_pool_and_their_number_is_no_part_of_the_identity(in_new_home: Path) -> None:
    said = io.StringIO()
    course = Course(followers=[Lines(Console(file=said, width=120))])
    with run_context_with(course=course):
        sharded = run(generate, recipe="tiny-cpu", overrides={**FEW, "runtime.num_shards": 3})
    manifest = next(manifest for name, manifest, *_ in sharded.stages if name == "generate")
    assert manifest.summary["generated_now"] == 0, "the shards had done it all"
    assert manifest.summary["from_pool"] == manifest.rows["samples"] == 6 * 6
    step = next(step for step in course._steps.values() if step.stage == "generate")
    assert (step.done, step.total) == (36, 36), "the shards' counts are those of their stage"
    assert said.getvalue().count("generate samples begins") == 1
    rows = list(read_rows(Store.open().local(sharded.ref) / SAMPLES_FILE))
    assert len({row["key"] for row in rows}) == 36
    whole = run(generate, recipe="tiny-cpu", overrides=FEW)
    assert whole.ref == sharded.ref
    assert "generate" not in whole.built


def test_two_gpus_of_a_machine_have_a_worker_each_and_a_cancel_ends_both(new_home: Path) -> None:
    gpus = {VARIABLE: "4,6"}
    command = start(
        new_home, "generate", {**SLOWLY, "runtime.device": "auto", "runtime.engine": "transformers"}, **gpus
    )
    command.wait_until(lambda: len(processes(new_home, GENERATION)) == 2)
    assert sorted(worker.environ()[VARIABLE] for worker in processes(new_home, GENERATION)) == ["4", "6"]
    command.process.terminate()
    assert command.wait(60) == 128 + signal.SIGTERM, command.output
    assert gone(new_home)


def test_evaluation_is_filled_by_shards_as_generation_is(in_new_home: Path) -> None:
    few = {"evaluate.benchmarks": ["tiny-test"], "evaluate.limit": 4, "evaluate.samples": 2, "evaluate.resamples": 200}
    sharded = run(evaluate, recipe="tiny-cpu", overrides={**few, "runtime.num_threads": 1, "runtime.num_shards": 2})
    assert Store.open().manifest(sharded.ref).rows == {"tiny-test": 4 * 3}
    assert len(set(pooled(in_new_home))) == len(pooled(in_new_home)) == 4 * 3
    assert len(batches(in_new_home)) == 2 * 2, "of each shard one of samples and one of greedy completions"
    whole = run(evaluate, recipe="tiny-cpu", overrides=few)
    assert whole.ref == sharded.ref
    assert "evaluate" not in whole.built
