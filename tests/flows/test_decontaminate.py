"""A question that a benchmark asks, planted among those to train on, is found by the stage as a recipe runs it."""

import json
from pathlib import Path

import pytest

from flows.stages.decontaminate import decontaminate
from flows.stages.questions import questions
from tasks.decontaminate.schema import OVERLAPS_FILE
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.tables.parquet import read_rows
from tasks.spine.store.store import Store
from tests.support.small import SMALL, run

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(("recipe", "which"), [("tiny-cpu", "questions"), ("tiny-cpu-rmt", "rl_questions")])
def test_a_planted_leak_is_listed_and_left_out(recipe: str, which: str, in_new_home: Path, tmp_path: Path) -> None:
    limits = {"evaluate.benchmarks": SMALL["evaluate.benchmarks"], "evaluate.limit": SMALL["evaluate.limit"]}
    store = Store.open()
    asked = run(questions, recipe=recipe, which="tiny-test", overrides=limits).ref
    leak = next(iter(read_rows(store.local(asked) / QUESTIONS_FILE)))
    rows = [{"question": f"How many legs have {count} cats?", "answer": str(4 * count)} for count in range(2, 12)]
    rows.append({"question": f"{leak['question']} ", "answer": leak["answer"]})
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {"question": "question", "answer": "answer"}
    overrides = {**limits, f"{which}.source": str(own), f"{which}.fields": fields}
    manifest = store.manifest(run(decontaminate, recipe=recipe, which=which, overrides=overrides).ref)
    assert manifest.ledger == {"read": 11, "kept": 10, "overlapping": 1}
    assert manifest.summary["overlapping"] == {"tiny-test": 1}
    (found,) = read_rows(store.local(manifest.ref) / OVERLAPS_FILE)
    assert (found["benchmark"], found["benchmark_id"]) == ("tiny-test", leak["id"])
    kept = {row["question"] for row in read_rows(store.local(manifest.ref) / QUESTIONS_FILE)}
    assert kept == {row["question"] for row in rows[:-1]}
