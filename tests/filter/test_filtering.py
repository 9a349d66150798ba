"""The stage on real samples: one verdict each, the best ones kept, nothing lost."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tasks.filter.adherence.config import LikelihoodRatioScorer, NoScorer, ScoringJob
from tasks.filter.adherence.schema import TO_SCORE
from tasks.filter.adherence.worker import run as score
from tasks.filter.config import FilterConfig
from tasks.filter.schema import KEPT, KEPT_FILE, VERDICTS, VERDICTS_FILE, WRONG_FILE
from tasks.filter.task import filter_solutions
from tasks.generate.config import GenerateConfig
from tasks.generate.task import assemble
from tasks.shared.engines.prompt_form import PromptForm
from tasks.shared.engines.protocol import Sampling
from tasks.shared.sampling.schema import PROMPTS, PROMPTS_FILE, SAMPLES, SAMPLES_FILE
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.spine.stage.gpus import Part
from tasks.spine.stage.stage import Build
from tasks.spine.stage.worker import Reporter
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.tiny.problems import generate_problems
from tests.support.paths import ROOT, TINY_MODEL
from tests.support.small_world import TINY, NumberOf, World, make
from tests.support.tables import check_schema

pytestmark = pytest.mark.slow

RUNTIME = Runtime(device="cpu", batch_size=256, num_verifiers=1)


def filtered(world: World, samples: ArtifactRef, **settings: Any) -> ArtifactRef:
    parents = {"samples": samples, "questions": world.questions, "model": world.model}
    return filter_solutions(FilterConfig.model_validate(settings), RUNTIME, **parents)


@pytest.fixture(scope="module")
def samples(world: World) -> ArtifactRef:
    """Three samples of 10 questions under 6 heuristics; 48 tokens cut some of them off."""
    config = GenerateConfig(
        heuristics="tiny", samples_per_heuristic=3, sampling=Sampling(top_p=1.0, max_new_tokens=36), prompt=TINY
    )
    return assemble(config, RUNTIME, questions=world.questions, model=world.model)


@pytest.fixture(scope="module")
def kept(world: World, samples: ArtifactRef) -> ArtifactRef:
    return filtered(world, samples, score_wrong=True)


def test_every_sample_has_one_verdict_and_every_kept_one_is_right(
    world: World, samples: ArtifactRef, kept: ArtifactRef
) -> None:
    written = {row["key"]: row for row in world.rows(samples, SAMPLES_FILE)}
    verdicts = world.rows(kept, VERDICTS_FILE)
    folder = world.store.local(kept)
    check_schema(folder / VERDICTS_FILE, VERDICTS)
    check_schema(folder / KEPT_FILE, KEPT)
    assert [row["key"] for row in verdicts] == list(written)
    gold = {row["id"]: row["answer"] for row in world.rows(world.questions, "questions.parquet")}
    solutions = world.rows(kept, KEPT_FILE)
    for row in solutions:
        sample = written[row["key"]]
        assert row["completion"] == sample["completion"]
        assert sample["finish_reason"] == "stop"
        assert row["completion"].rstrip().endswith(f"#### {gold[row['question_id']]}")
        assert row["answer"] == gold[row["question_id"]]
    pairs = Counter((row["question_id"], row["heuristic"]) for row in solutions)
    assert set(pairs.values()) == {1}
    right = {(r["question_id"], r["heuristic"]) for r in verdicts if r["verdict"] == "correct" and not r["truncated"]}
    assert set(pairs) == right


def test_the_kept_one_scores_best(world: World, kept: ArtifactRef) -> None:
    verdicts = world.rows(kept, VERDICTS_FILE)
    best: dict[tuple[str, str], float] = {}
    for row in verdicts:
        if row["verdict"] == "correct" and not row["truncated"]:
            pair = (row["question_id"], row["heuristic"])
            best[pair] = max(best.get(pair, -1e9), row["adherence"])
    chosen = {(row["question_id"], row["heuristic"]): row["adherence"] for row in world.rows(kept, KEPT_FILE)}
    assert chosen == best
    assert any(row["drop_reason"] == "not_best" for row in verdicts)


def test_reasons_and_ledger_agree(world: World, kept: ArtifactRef) -> None:
    manifest = world.store.manifest(kept)
    verdicts = world.rows(kept, VERDICTS_FILE)
    reasons = Counter(row["drop_reason"] or "kept" for row in verdicts)
    assert {name: manifest.ledger[name] for name in reasons} == reasons
    assert all((row["drop_reason"] == "") == row["kept"] for row in verdicts)
    assert all((row["drop_reason"] == "truncated") == row["truncated"] for row in verdicts)
    assert manifest.ledger["generated"] == 180
    assert f"wrong {manifest.ledger['wrong']}" in manifest.facts["verdicts"].split(", ")
    assert manifest.rows["kept"] == manifest.ledger["kept"] == len(world.rows(kept, KEPT_FILE))
    assert reasons["truncated"] > 0
    heuristics = manifest.summary["heuristics"]
    assert sum(counts["correct"] for counts in heuristics.values()) == manifest.ledger["correct"]


def test_wrong_solutions_are_there_for_the_ablation(world: World, kept: ArtifactRef) -> None:
    wrong = world.rows(kept, WRONG_FILE)
    assert {row["verdict"] for row in wrong} == {"wrong"}
    assert all(row["adherence"] is not None for row in wrong)
    assert set(Counter((row["question_id"], row["heuristic"]) for row in wrong).values()) == {1}


def test_without_a_scorer_the_first_correct_one_is_kept(world: World, samples: ArtifactRef, kept: ArtifactRef) -> None:
    ref = filtered(world, samples, scorer={"type": "none"})
    verdicts = world.rows(ref, VERDICTS_FILE)
    assert {row["adherence"] for row in verdicts} == {None}
    before = [(row["key"], row["verdict"]) for row in world.rows(kept, VERDICTS_FILE)]
    assert [(row["key"], row["verdict"]) for row in verdicts] == before
    first: dict[tuple[str, str], str] = {}
    for row in verdicts:
        if row["verdict"] == "correct":
            first.setdefault((row["question_id"], row["heuristic"]), row["key"])
    assert [row["key"] for row in world.rows(ref, KEPT_FILE)] == list(first.values())


def _publish(build: Build, texts: Sequence[Sequence[tuple[str, str]]], form: PromptForm) -> None:
    """Samples of questions without a heuristic: completions and their finish reasons, question by question."""
    rows = [
        {
            "key": f"{question}-{index}",
            "question_id": f"{question:04d}",
            "heuristic": "",
            "sample_index": index,
            "completion": text,
            "finish_reason": reason,
            "prompt_tokens": 1,
            "completion_tokens": 1,
            "engine": "transformers",
        }
        for question, samples in enumerate(texts)
        for index, (text, reason) in enumerate(samples)
    ]
    prompts = [{"question_id": f"{question:04d}", "heuristic": "", "prompt": "Q"} for question in range(len(texts))]
    write_parquet(rows, build.out / SAMPLES_FILE, SAMPLES)
    write_parquet(prompts, build.out / PROMPTS_FILE, PROMPTS)
    build.record(summary=form.summary())


def _nothing_right(build: Build, config: NumberOf) -> None:
    """Samples of which none is right: wrong, without an answer, truncated or rejected with an answer in them."""
    texts = [("#### 99999", "stop"), ("no answer", "stop"), ("#### 1", "length"), ("#### 1", "rejected")]
    _publish(build, [texts] * 10, PromptForm())


def test_nothing_correct_is_a_result_and_not_an_error(world: World) -> None:
    samples = make("nothing-right", "samples", _nothing_right, NumberOf(count=0))
    ref = filtered(world, samples)
    ledger = world.store.manifest(ref).ledger
    assert world.rows(ref, KEPT_FILE) == []
    assert [ledger[name] for name in ("generated", "wrong", "unparsed", "truncated", "correct")] == [40, 10, 20, 10, 0]


SOLVED = "so 1 + 1 = 2</think>1 + 1 = 3\n#### "


def _running_on(build: Build, config: NumberOf) -> None:
    """Right samples of every question, behind a thought that the prompt opened: one states two answers, one goes on
    with a problem of its own, one is whole, and two were cut at the limit: in such a problem, and behind the answer."""
    texts = [
        [
            (f"</think>The answer is 99998.\nThe answer is {item.answer}.", "stop"),
            (f"{SOLVED}{item.answer}\n\nProblem: And more?\n#### 99999", "stop"),
            (f"</think>2 + 2 = 4\n#### {item.answer}", "stop"),
            (f"</think>3 + 3 = 6\n#### {item.answer}\n\nProblem: And mo", "length"),
            (f"</think>3 + 3 = 6\n#### {item.answer}", "length"),
        ]
        for item in generate_problems("dev", config.count, seed=1)
    ]
    _publish(build, texts, PromptForm(opened_thought="<think>"))


def test_solutions_end_with_their_answer_and_what_is_left_is_measured(world: World) -> None:
    samples = make("running-on", "samples", _running_on, NumberOf(count=10))
    ref = filtered(world, samples)
    manifest = world.store.manifest(ref)
    kept = world.rows(ref, KEPT_FILE)
    assert [row["completion"] for row in kept] == [f"{SOLVED}{row['answer']}" for row in kept]
    parts = ("generated", "truncated", "runs_on", "correct", "not_best", "kept")
    assert [manifest.ledger[name] for name in parts] == [50, 10, 10, 30, 20, 10]
    assert manifest.summary["endings"] == {"runs_on": 10, "cut_back": 20, "whole": 10}
    plain = manifest.summary["heuristics"][""]
    assert (plain["truncated"], plain["recovered"]) == (10, 10)
    assert (plain["goes_on"], plain["cut_back"], plain["arithmetic"]) == (30, 10, 0.8333)
    verdicts = world.rows(ref, VERDICTS_FILE)
    assert {(row["sample_index"], row["ending"], row["arithmetic"]) for row in verdicts} == {
        (0, "runs_on", None),
        (1, "cut_back", 0.5),
        (2, "whole", 1.0),
        (3, "cut_back", 1.0),
        (4, "", 1.0),
    }
    strict = filtered(world, samples, min_arithmetic=1.0, keep_per_heuristic=2)
    ledger = world.store.manifest(strict).ledger
    assert (ledger["miscalculated"], ledger["kept"]) == (10, 20)
    for row, recovered in zip(*[iter(world.rows(strict, KEPT_FILE))] * 2, strict=True):
        assert recovered["completion"] == f"</think>3 + 3 = 6\n#### {row['answer']}"


def test_evidence_is_asked_of_each_pair(world: World) -> None:
    samples = make("running-on", "samples", _running_on, NumberOf(count=10))
    ledgers = {
        evidence: world.store.manifest(filtered(world, samples, evidence=evidence)).ledger
        for evidence in ("agreement", "unlikely", "either")
    }
    # Without a wrong answer no gold is known to be unlikely.
    assert {evidence: ledger["by_chance"] for evidence, ledger in ledgers.items()} == {
        "agreement": 0,
        "unlikely": 30,
        "either": 0,
    }


def test_accident_is_estimated_over_the_answers_of_wrong_samples(world: World) -> None:
    samples = make("nothing-right", "samples", _nothing_right, NumberOf(count=0))
    summary = world.store.manifest(filtered(world, samples)).summary
    names = ("answered", "right", "wrong", "rate", "share")
    assert [summary["accidents"][name] for name in names] == [10, 0, 10, 0.0, None]
    assert summary["heuristics"][""]["accidents"] == summary["accidents"]


@pytest.fixture
def job(tmp_path: Path) -> ScoringJob:
    rows = [
        {
            "key": f"{index:05d}",
            "question": f"Ann has {index} pens.",
            "heuristic": "analogy",
            "prompt": f"Q: Ann has {index} pens.\nMethod: analogy\nA:",
            "plain": f"Q: Ann has {index} pens.\nA:",
            "completion": f" Like {index}+{index}={2 * index}.\n#### {2 * index}",
        }
        for index in range(1300)
    ]
    write_parquet(rows, tmp_path / "requests.parquet", TO_SCORE)
    return ScoringJob(
        scorer=LikelihoodRatioScorer(),
        model=TINY_MODEL,
        requests=tmp_path / "requests.parquet",
        scores=tmp_path / "scores",
        runtime=Runtime(device="cpu", num_threads=1),
    )


def test_a_killed_scorer_goes_on_where_it_was(job: ScoringJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "job.json").write_text(job.model_dump_json())
    child = subprocess.Popen([sys.executable, "-m", "tasks.filter.adherence.worker", str(tmp_path / "work")], cwd=ROOT)
    while not list(job.scores.glob("[!.]*.parquet")) and child.poll() is None:
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    held = sum(1 for file in job.scores.glob("[!.]*.parquet") for _ in read_rows(file))
    assert 0 < held < 1300
    halves = [job.model_copy(update={"part": Part(index, 2)}) for index in range(2)]
    # This process is no worker, and other tests in it reach for a hub.
    monkeypatch.setattr("tasks.filter.adherence.worker.offline", lambda: None)
    results = [score(half, Reporter(tmp_path)) for half in halves]
    assert [result["scored"] for result in results] == [max(0, 1024 - held), 1300 - max(1024, held)], "two workers"
    keys = Counter(row["key"] for file in job.scores.glob("[!.]*.parquet") for row in read_rows(file))
    assert set(keys.values()) == {1}
    assert len(keys) == 1300


def test_scorers_are_told_apart_by_type() -> None:
    assert FilterConfig.model_validate({"scorer": {"type": "none"}}).scorer == NoScorer()
    with pytest.raises(ValueError, match="likelihood_ratio"):
        FilterConfig.model_validate({"scorer": {"type": "likelihood"}})
