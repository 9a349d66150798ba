"""A question that a benchmark asks, planted among those to train on, is found by the stage as a recipe runs it."""

import json
from pathlib import Path
from typing import ClassVar

import pytest

from flows.rmt import rmt
from flows.stages.decontaminate import decontaminate
from flows.stages.questions import questions
from flows.stages.rmt.entropy import entropy
from flows.stages.rmt.think_tags import think_tags
from tasks.decontaminate.schema import OVERLAPS_FILE
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.tables.parquet import read_rows
from tasks.spine.stage.call import StageCall
from tasks.spine.stage.context import run_context_with
from tasks.spine.stage.plan import Plan
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store
from tasks.texts.schema import EVALUATION_FILE, TRAIN_FILE
from tests.support.small import SMALL, run

pytestmark = pytest.mark.slow


LIMITS = {"evaluate.benchmarks": SMALL["evaluate.benchmarks"], "evaluate.limit": SMALL["evaluate.limit"]}


@pytest.mark.parametrize(("recipe", "which"), [("tiny-cpu", "questions"), ("tiny-cpu-rmt", "rl_questions")])
def test_a_planted_leak_is_listed_and_left_out(recipe: str, which: str, in_new_home: Path, tmp_path: Path) -> None:
    store = Store.open()
    asked = run(questions, recipe=recipe, which="tiny-test", overrides=LIMITS).ref
    leak = next(iter(read_rows(store.local(asked) / QUESTIONS_FILE)))
    rows = [{"question": f"How many legs have {count} cats?", "answer": str(4 * count)} for count in range(2, 12)]
    rows.append({"question": f"{leak['question']} ", "answer": leak["answer"]})
    own = tmp_path / "own.jsonl"
    own.write_text("".join(json.dumps(row) + "\n" for row in rows))
    fields = {"question": "question", "answer": "answer"}
    overrides = {**LIMITS, f"{which}.source": str(own), f"{which}.fields": fields}
    manifest = store.manifest(run(decontaminate, recipe=recipe, which=which, overrides=overrides).ref)
    assert manifest.ledger == {"read": 11, "kept": 10, "overlapping": 1}
    assert manifest.summary["overlapping"] == {"tiny-test": 1}
    (found,) = read_rows(store.local(manifest.ref) / OVERLAPS_FILE)
    assert (found["benchmark"], found["benchmark_id"]) == ("tiny-test", leak["id"])
    kept = {row["question"] for row in read_rows(store.local(manifest.ref) / QUESTIONS_FILE)}
    assert kept == {row["question"] for row in rows[:-1]}


def test_a_document_that_solves_a_benchmarks_question_is_not_trained_on(in_new_home: Path, tmp_path: Path) -> None:
    store = Store.open()
    asked = run(questions, recipe="tiny-cpu-rmt", which="tiny-test", overrides=LIMITS).ref
    leak = next(iter(read_rows(store.local(asked) / QUESTIONS_FILE)))
    rows = [{"text": f"{count} cats have {4 * count} legs."} for count in range(2, 14)]
    rows.append({"given": leak["question"], "text": f"The answer is {leak['answer']}."})
    train, held_out = tmp_path / "train.jsonl", tmp_path / "held-out.jsonl"
    train.write_text("".join(json.dumps({"given": "", **row}) + "\n" for row in [*rows, {"text": "A DOG, barks."}]))
    held_out.write_text(json.dumps({"given": "", "text": "A dog barks."}) + "\n")
    own = {"texts.source": str(train), "texts.evaluation_source": str(held_out), "texts.given_field": "given"}
    overrides = {**LIMITS, **own}
    manifest = store.manifest(run(decontaminate, recipe="tiny-cpu-rmt", which="texts", overrides=overrides).ref)
    assert (manifest.ref.kind, manifest.stage) == ("texts", "decontaminate")
    assert manifest.ledger == {"read": 14, "kept": 12, "overlapping": 2}
    assert manifest.rows == {"train": 12, "evaluation": 1, "rejects": 2, "overlaps": 2}
    assert manifest.summary["overlapping"] == {"tiny-test": 1}
    assert manifest.summary["held_out"] == {"documents": 1, "overlapping": 0, "listed": []}
    folder = store.local(manifest.ref)
    assert {row["text"] for row in read_rows(folder / TRAIN_FILE)} == {row["text"] for row in rows[:-1]}
    assert [row["text"] for row in read_rows(folder / EVALUATION_FILE)] == ["A dog barks."]


class Calls(Plan):
    """A plan that keeps what the stages were called with."""

    seen: ClassVar[list[StageCall]] = []

    def visit(self, call: StageCall) -> ArtifactRef:
        self.seen.append(call)
        return super().visit(call)


def test_every_stage_of_rmt_that_trains_on_texts_takes_those_without_leaks(in_new_home: Path) -> None:
    """With think tags and a second domain, whose documents are predicted only."""
    overrides = {"think_tags.enabled": True, "evaluation_texts": {"source": "tiny", "tiny": {"evaluation": "ood"}}}
    with run_context_with(visitor=Calls(None)):
        rmt.fn(recipe="tiny-cpu-rmt", overrides=overrides)
        for flow in (entropy, think_tags):
            flow.fn(recipe="tiny-cpu-rmt", overrides=overrides)
    clean = {call.key for call in Calls.seen if (call.stage.name, call.stage.kind) == ("decontaminate", "texts")}
    taken = {
        (call.stage.name, call.parents["texts"].fingerprint in clean) for call in Calls.seen if "texts" in call.parents
    }
    assert len(clean) == 1
    assert taken == {("decontaminate", False), ("think_tags", True), ("entropy", True), ("entropy", False)}
