"""Ready solutions: read in place of generated ones, judged like them, and every row accounted for."""

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from tasks.dataset.config import DatasetConfig
from tasks.dataset.schema import CARD_FILE, TRAIN_FILE
from tasks.dataset.task import write_dataset
from tasks.filter.config import FilterConfig
from tasks.filter.schema import VERDICTS_FILE
from tasks.filter.task import filter_solutions
from tasks.generate.config import GenerateConfig, ReadySolutions
from tasks.generate.ready import resolve, to_solution
from tasks.generate.task import generate_samples
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.sampling.schema import PROMPTS_FILE, SAMPLES, SAMPLES_FILE
from tasks.shared.sources.errors import Record, Reject, SourceError
from tasks.shared.sources.rejects import REJECTS_FILE
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tests.support.small_world import TINY, World
from tests.support.tables import check_schema

RUNTIME = Runtime(device="cpu", num_verifiers=1)


def written(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def traces(world: World) -> list[dict[str, Any]]:
    """A right and a wrong solution of each question but the last, and rows that are no good."""
    questions = world.rows(world.questions, QUESTIONS_FILE)
    rows = []
    for row in questions[:-1]:
        rows.append(
            {"problem": f"  {row['question']} ", "trace": {"text": f"So {row['answer']}.\n#### {row['answer']}"}}
        )
        rows.append({"problem": row["question"], "trace": {"text": "Perhaps.\n#### 99999"}})
    again, more = dict(rows[0]), {"problem": questions[0]["question"], "trace": {"text": "Another.\n#### 1"}}
    other = {"problem": "What is love?", "trace": {"text": "#### 1"}}
    return [*rows, again, more, other, {"problem": questions[0]["question"], "trace": {"text": None}}]


def config(path: Path, **changes: Any) -> GenerateConfig:
    ready = {"source": str(path), "question": "problem", "solution": "trace.text", "max_per_question": 2} | changes
    return GenerateConfig.model_validate({"solutions": ready, "prompt": TINY})


def samples_of(world: World, config: GenerateConfig) -> ArtifactRef:
    return generate_samples(config, RUNTIME, questions=world.questions, model=world.model)


@pytest.fixture(scope="module")
def samples(world: World, tmp_path_factory: pytest.TempPathFactory) -> ArtifactRef:
    source = written(tmp_path_factory.mktemp("traces") / "traces.jsonl", traces(world))
    return samples_of(world, config(source))


def test_ready_solutions_are_samples_of_the_plain_prompt_and_every_row_is_accounted_for(
    world: World, samples: ArtifactRef
) -> None:
    check_schema(world.store.local(samples) / SAMPLES_FILE, SAMPLES)
    rows = world.rows(samples, SAMPLES_FILE)
    assert [(row["question_id"], row["sample_index"]) for row in rows] == [
        (f"{number:04d}", index) for number in range(9) for index in range(2)
    ]
    assert {(row["heuristic"], row["finish_reason"], row["engine"]) for row in rows} == {("", "stop", "ready")}
    assert len({row["key"] for row in rows}) == 18
    assert all(row["prompt_tokens"] > 5 and row["completion_tokens"] > 3 for row in rows)
    prompts = world.rows(samples, PROMPTS_FILE)
    assert [row["question_id"] for row in prompts] == [f"{number:04d}" for number in range(9)]
    assert all(row["prompt"].startswith("Q: ") and row["prompt"].endswith("\nA:") for row in prompts)
    manifest = world.store.manifest(samples)
    assert manifest.ledger == {
        "read": 22,
        "kept": 18,
        "merged": 1,
        "other_question": 1,
        "beyond_limit": 1,
        "rejected": 1,
    }
    assert manifest.summary["questions_without_solution"] == 1
    (reject,) = world.rows(samples, REJECTS_FILE)
    assert (reject["line"], reject["field"], reject["reason"]) == (22, "trace.text", "is null")


def test_only_right_ones_are_kept_and_trained_on(world: World, samples: ArtifactRef) -> None:
    parents = {"samples": samples, "questions": world.questions, "model": world.model}
    kept = filter_solutions(FilterConfig(), RUNTIME, **parents)
    verdicts = world.rows(kept, VERDICTS_FILE)
    assert [row["verdict"] for row in verdicts] == ["correct", "wrong"] * 9
    data = write_dataset(DatasetConfig(prompt=TINY, min_rows=1), RUNTIME, kept=kept, model=world.model)
    answers = {row["id"]: row["answer"] for row in world.rows(world.questions, QUESTIONS_FILE)}
    rows = world.rows(data, TRAIN_FILE)
    assert "final answers that were there already" in (world.store.local(data) / CARD_FILE).read_text()
    assert len(rows) == 9
    for row in rows:
        answer = answers[row["question_id"]]
        assert row["completion"] == f" So {answer}.\n#### {answer}"


def test_a_moved_file_is_the_same_set_and_a_changed_one_another(
    world: World, samples: ArtifactRef, tmp_path: Path
) -> None:
    rows = traces(world)
    assert samples_of(world, config(written(tmp_path / "moved.jsonl", rows))) == samples
    assert samples_of(world, config(written(tmp_path / "changed.jsonl", rows[:-1]))) != samples
    unasked = config(written(tmp_path / "again.jsonl", rows)).model_copy(update={"samples_per_heuristic": 9})
    assert samples_of(world, unasked) == samples


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"solution": "trace.txt"}, "generate.solutions.solution: no row of .* has 'trace.txt'"),
        ({"source": "nowhere.jsonl"}, "no file with solutions at 'nowhere.jsonl'"),
        ({"max_rejected_share": 0.01}, "1 of 22 rows of .* were rejected"),
    ],
)
def test_what_cannot_be_read_is_refused(world: World, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    source = written(tmp_path / "traces.jsonl", traces(world))
    with pytest.raises(SourceError, match=said):
        samples_of(world, config(source, **changes))


def test_solutions_of_other_questions_are_refused_with_both_named(world: World, tmp_path: Path) -> None:
    source = written(tmp_path / "other.jsonl", [{"problem": "What is love?", "trace": {"text": "#### 1"}}] * 3)
    with pytest.raises(SourceError, match=r"none of the 3 solutions .* any of the 10 questions.*'What is love[?]'"):
        samples_of(world, config(source))


def test_a_solution_begins_with_the_thought_in_which_the_prompts_end() -> None:
    ready = ReadySolutions(source="traces.jsonl")
    rows = [{"question": "1 + 1?", "solution": text} for text in ("<think>two</think> 2", "2")]
    first, second = (to_solution(Record("file", 1, row), ready, "<think>\n") for row in rows)
    assert isinstance(first, dict)
    assert first["solution"] == "two</think> 2"
    assert isinstance(second, Reject)
    assert second.reason == "does not begin with <think>, in which the model's prompts end"


def test_solutions_have_one_writer_and_their_identity_waits_for_their_source(tmp_path: Path) -> None:
    ready = {"source": str(written(tmp_path / "a.jsonl", [{"question": "1?", "solution": "1"}]))}
    with pytest.raises(ValidationError, match="not both"):
        GenerateConfig.model_validate({"solutions": ready, "model": {"source": "embedded"}})
    unresolved = GenerateConfig.model_validate({"solutions": ready})
    with pytest.raises(ValueError, match="not looked at yet"):
        unresolved.identity_payload()
    assert set(resolve(unresolved).identity_payload()) == {"solutions", "prompt"}
