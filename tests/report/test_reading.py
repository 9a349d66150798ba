"""Completions for people to read: each with the verdict that filtering gave it."""

from pathlib import Path

from tasks.filter.schema import VERDICTS, VERDICTS_FILE
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.report.reading import CompletionFilter, pick
from tasks.shared.sampling.schema import SAMPLES, SAMPLES_FILE
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.report_worlds import World

FATES = {"recovered": (False, "correct", ""), "cut": (True, "unparsed", "truncated")}
"""Two samples that met the token limit: whether each counts as truncated, its verdict and drop reason."""


def test_a_sample_that_was_cut_behind_its_solution_is_shown_with_its_verdict(tmp_path: Path) -> None:
    world = World(Store.open(Settings(home=tmp_path / "home")), tmp_path / "made")
    world.publish("base", "model", "model")
    world.table("asked", QUESTIONS_FILE, QUESTIONS, [{"id": "q", "question": "2 + 3?", "answer": "5", "meta": "{}"}])
    world.publish("asked", "questions", "questions")
    named = [{"key": key, "question_id": "q", "sample_index": place} for place, key in enumerate(FATES)]
    samples = [row | {"completion": row["key"], "finish_reason": "length"} for row in named]
    world.table("samples", SAMPLES_FILE, SAMPLES, samples)
    world.publish("samples", "samples", "generate", parents={"questions": "asked", "model": "base"})
    blank = {"arithmetic": None, "adherence": None, "ending": ""}
    verdicts = [
        row | blank | {"truncated": cut, "verdict": verdict, "drop_reason": reason, "kept": not reason}
        for row, (cut, verdict, reason) in zip(named, FATES.values(), strict=True)
    ]
    world.table("kept", VERDICTS_FILE, VERDICTS, verdicts)
    ref = world.publish("kept", "filtered", "filter", parents={"samples": "samples"}).ref
    shown = {row.completion: (row.verdict, row.fate) for row in pick(world.store, ref, CompletionFilter())}
    assert shown == {"recovered": ("correct", "kept"), "cut": ("truncated", "truncated")}
    assert [row.completion for row in pick(world.store, ref, CompletionFilter(verdict="truncated"))] == ["cut"]
