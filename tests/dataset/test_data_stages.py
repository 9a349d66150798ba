"""Questions and dataset as stages of the store: identity, lineage, ledgers and what readers find in the artifact."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tasks.dataset.config import DatasetConfig, PromptSetConfig
from tasks.dataset.task import write_dataset, write_rl_prompts
from tasks.decontaminate.config import DecontaminateConfig
from tasks.decontaminate.schema import OVERLAPS_FILE
from tasks.decontaminate.task import leave_out_overlaps
from tasks.errors import Permanent
from tasks.questions.config import QuestionsConfig, TinyOptions
from tasks.questions.sources import resolve
from tasks.questions.task import load_resolved
from tasks.shared.prompts.config import PromptConfig
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.stage import Build, Outcome, ensure
from tasks.spine.stage.task import StageTask
from tasks.spine.store.lineage import find_source
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tests.support.kept_table import KEPT, kept_rows

PLAIN = PromptConfig(style="plain", plain_template="Q: {question}", cue="\nA:")


class Quiet:
    """Watches a build and says nothing."""

    def started(self, build: Build) -> str | None:
        return None

    def progress(self, line: dict[str, Any]) -> None: ...

    def metrics(self, line: dict[str, Any]) -> None: ...

    def finished(self, manifest: Manifest | None) -> None: ...


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(home=tmp_path / "home")


def run(task: StageTask, config: Any, settings: Settings, **parents: ArtifactRef) -> Outcome:
    return ensure(StageCall(task.stage, task.body, config, Runtime(), parents), watcher=Quiet(), settings=settings)


def files(outcome: Outcome, settings: Settings) -> Path:
    return Store.open(settings).local(outcome.manifest.ref)


def questions(settings: Settings, split: str, count: int) -> Outcome:
    return run(load_resolved, resolve(QuestionsConfig(tiny=TinyOptions(split=split, count=count))), settings)


def filtered(settings: Settings, name: str = "kept.parquet") -> ArtifactRef:
    def body(build: Build, config: dict[str, str]) -> None:
        write_parquet(kept_rows(50), build.out / name, KEPT)
        accidents = {"expected": 0.25, "right": 50}
        build.record(summary={"heuristics": {"backward": {"accidents": accidents}}})

    stage = Stage("filter", version=1, kind="filtered")
    outcome = ensure(StageCall(stage, body, {"file": name}, Runtime(), {}), watcher=Quiet(), settings=settings)
    return outcome.manifest.ref


def test_a_question_set_is_built_once_and_its_manifest_adds_up(settings: Settings) -> None:
    first, second = questions(settings, "seed", 40), questions(settings, "seed", 40)
    assert (first.hit, second.hit) == (False, True)
    ledger = first.manifest.ledger
    assert ledger["read"] == sum(ledger.values()) - ledger["read"] == 40
    assert first.manifest.rows == {"questions": ledger["kept"], "rejects": 0}
    assert questions(settings, "seed", 41).hit is False
    asked = next(iter(read_rows(files(first, settings) / "questions.parquet")))
    assert find_source(Store.open(settings), asked["id"]) == asked["question"]


def test_a_moved_source_is_a_hit_and_a_changed_one_a_miss(settings: Settings, tmp_path: Path) -> None:
    def outcome(path: Path) -> Outcome:
        return run(load_resolved, resolve(QuestionsConfig(source=str(path), preset="math500")), settings)

    row = {"problem": "What is 1+1?", "answer": "2"}
    (tmp_path / "a.jsonl").write_text(json.dumps(row))
    assert not outcome(tmp_path / "a.jsonl").hit
    (tmp_path / "a.jsonl").rename(tmp_path / "b.jsonl")
    assert outcome(tmp_path / "b.jsonl").hit
    (tmp_path / "b.jsonl").write_text(json.dumps({**row, "answer": "3"}))
    assert not outcome(tmp_path / "b.jsonl").hit


def test_a_set_without_overlap_stays_what_it_was_so_that_what_was_made_from_it_does(settings: Settings) -> None:
    seed, test = questions(settings, "seed", 60), questions(settings, "test", 60)
    benchmarks = {"questions.test": test.manifest.ref}
    clean = run(leave_out_overlaps, DecontaminateConfig(), settings, questions=seed.manifest.ref, **benchmarks)
    assert clean.manifest.summary == {"label": "tiny", "overlapping": {"test": 0}}
    assert clean.manifest.digest == seed.manifest.digest
    with pytest.raises(Permanent, match="no question is left"):
        same = {"questions": seed.manifest.ref, "questions.copy": seed.manifest.ref}
        run(leave_out_overlaps, DecontaminateConfig(), settings, **same)


def test_a_planted_leak_is_found_listed_and_left_out(settings: Settings, tmp_path: Path) -> None:
    seed, test = questions(settings, "seed", 60), questions(settings, "test", 60)
    asked = [row["question"] for row in read_rows(files(test, settings) / "questions.parquet")]
    leaks = [question for question in asked if len(question.split()) > 13][:3]
    own = [row["question"] for row in read_rows(files(seed, settings) / "questions.parquet")]
    rows = ({"question": question, "answer": "7"} for question in [*own, *leaks, f"Now think: {leaks[0].upper()}"])
    (tmp_path / "train.jsonl").write_text("\n".join(map(json.dumps, rows)))
    config = QuestionsConfig(source=str(tmp_path / "train.jsonl"), fields={"question": "question", "answer": "answer"})
    training = run(load_resolved, resolve(config), settings)
    parents = {"questions": training.manifest.ref, "questions.test": test.manifest.ref}
    found = run(leave_out_overlaps, DecontaminateConfig(), settings, **parents)
    kept = {row["question"] for row in read_rows(files(found, settings) / "questions.parquet")}
    assert kept == set(own)
    assert found.manifest.ledger == {"read": len(own) + 4, "kept": len(own), "overlapping": 4}
    assert found.manifest.summary["overlapping"] == {"test": 3}
    listed = {row["question_id"] for row in read_rows(files(found, settings) / OVERLAPS_FILE)}
    rejects = {row["value"] for row in read_rows(files(found, settings) / "rejects.parquet")}
    assert len(listed) == 4
    assert listed == rejects


def test_prompts_for_rl_carry_gold_answers_and_a_card(settings: Settings) -> None:
    asked = questions(settings, "rl", 30)
    outcome = run(write_rl_prompts, PromptSetConfig(prompt=PLAIN), settings, questions=asked.manifest.ref)
    gold = {row["id"]: row for row in read_rows(files(asked, settings) / "questions.parquet")}
    rows = list(read_rows(files(outcome, settings) / "rl.parquet"))
    assert len(rows) == outcome.manifest.rows["questions"] == len(gold)
    for row in rows:
        source = gold[row["question_id"]]
        assert row["prompt"] == f"Q: {source['question']}\nA:"
        assert row["answer"] == source["answer"]
    assert asked.manifest.digest in (files(outcome, settings) / "README.md").read_text()


def test_solutions_become_a_dataset_with_card_and_ledger(settings: Settings) -> None:
    parent = filtered(settings)
    outcome = run(write_dataset, DatasetConfig(prompt=PLAIN, variants=2), settings, kept=parent)
    rows = list(read_rows(files(outcome, settings) / "train.parquet"))
    ledger = outcome.manifest.ledger
    assert ledger["candidates"] == 100
    assert len(rows) == outcome.manifest.rows["train"] == ledger["kept"]
    assert outcome.manifest.summary["ranks"] == {"0": 40, "1": 30}
    assert rows[0]["prompt"] == "Q: Question 1?\nA:"
    card = (files(outcome, settings) / "README.md").read_text()
    assert parent.digest in card
    measured = outcome.manifest.summary["diversity"]
    assert (measured["kernel"], measured["questions"], measured["solutions"]) == ("word n-grams", 40, 70)
    assert measured["solutions_per_question"] == 2
    assert 1 < measured["vendi_per_question"] < 2 < measured["vendi_all"] < 70
    assert 0 < measured["self_bleu"] < 1
    assert f"| self-BLEU of such a question | {measured['self_bleu']:.2f} |" in card
    assert re.search(r"\| backward \| \d+ \| 0.2 of 50 \|", card)


def test_wrong_answers_come_from_their_own_table(settings: Settings) -> None:
    config = DatasetConfig(prompt=PLAIN, verdict="wrong")
    run(write_dataset, config, settings, kept=filtered(settings, "wrong.parquet"))
    with pytest.raises(ValueError, match=r"wrong\.parquet: no such Parquet file"):
        run(write_dataset, config, settings, kept=filtered(settings))


def test_a_prompt_style_that_depends_on_the_model_needs_one(settings: Settings) -> None:
    with pytest.raises(Permanent, match="no model was passed"):
        run(write_dataset, DatasetConfig(), settings, kept=filtered(settings))
