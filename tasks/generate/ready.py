"""Solutions that exist already as samples: read, met with the questions, merged, and every row accounted for."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from tasks.generate.config import GenerateConfig, ReadySolutions
from tasks.questions.rows import question_id
from tasks.shared.sampling.schema import ENDED, SAMPLES, SAMPLES_FILE
from tasks.shared.sampling.wanted import KEY_DIGITS
from tasks.shared.sources.errors import Record, Reject, SourceError, excerpt
from tasks.shared.sources.files import SourceFiles
from tasks.shared.sources.hub import commit_of, hub_digest, is_hub_id, read_hub
from tasks.shared.sources.intake import Intake, spool_schema
from tasks.shared.sources.paths import MissingField, paths_of
from tasks.shared.sources.paths import resolve as value_of
from tasks.shared.sources.rejects import REJECTS_FILE, check_share, write_rejects
from tasks.shared.sources.values import UnusableValue, as_text, check_text
from tasks.shared.tables.parquet import Row, Weight, read_groups, required_columns, write_parquet
from tasks.shared.tables.sorting import sort_rows
from tasks.spine.stage.plan import is_outline, settings_digest
from tasks.spine.store.fingerprint import canonical_json, digest_text

ENGINE = "ready"
"""What stands in the column `engine` of samples that no engine made."""
_SPOOL = spool_schema(required_columns(id=pa.string(), solution=pa.string()))
_CHOSEN = required_columns(key=pa.string(), question_id=pa.string(), sample_index=pa.int32(), completion=pa.string())
_RUN = Weight(lambda row: len(row["solution"]), 1 << 27)
_GROUP = Weight(lambda row: len(row["completion"]), 1 << 23)
"""Bounds on what is in memory at once: characters."""


@dataclass
class SolutionIntake(Intake):
    """Counts of ready solutions by what became of them."""

    PARTS: ClassVar[tuple[str, ...]] = ("kept", "merged", "other_question", "beyond_limit", "rejected")

    kept: int = 0
    merged: int = 0
    """The same text for the same question."""
    other_question: int = 0
    """Solutions of questions that the stage `questions` does not have."""


def resolve(config: GenerateConfig) -> GenerateConfig:
    """`config` with the source of its ready solutions looked at, if it has one: content digest, and (hub) commit.

    Raises `SourceError` where the source cannot be found.
    """
    ready = config.solutions
    if ready is None or ready.source_digest:
        return config
    if is_outline():
        found: dict[str, Any] = {"source_digest": settings_digest(ready)}
    elif is_hub_id(ready.source):
        commit, split = commit_of(ready.source, ready.revision), ready.split or "train"
        found = {"revision": commit, "split": split, "source_digest": hub_digest(commit, ready.subset, split)}
    else:
        files = _files(ready)
        found = {"format": files.format, "source_digest": f"{files.format}:{files.digest()}"}
    return config.model_copy(update={"solutions": ready.model_copy(update=found)})


def write_samples(
    ready: ReadySolutions,
    questions: Mapping[str, str],
    out: Path,
    work: Path,
    *,
    opened_thought: str,
    prompt_tokens: Callable[[str], int],
    completion_tokens: Callable[[list[str]], list[int]],
) -> SolutionIntake:
    """Write samples.parquet (schema `SAMPLES`, sorted by question) and rejects.parquet into `out`.

    `ready` must have been resolved. Memory does not grow with the solutions.

    Args:
        questions: their texts by id.
        work: folder for temporary runs.
        opened_thought: mark that the prompts end in, which a solution then has to begin with; it is taken off.
        prompt_tokens, completion_tokens: lengths of a question's prompt, and of solutions.

    Raises:
        SourceError: no solution is of any of the questions, or more than `max_rejected_share` was rejected.
    """
    intake = SolutionIntake()
    ids = {question_id(text): key for key, text in questions.items()}
    mapped = intake.mapped(_read(ready), lambda record: to_solution(record, ready, opened_thought))
    ordered = sort_rows(mapped, _SPOOL, lambda row: ids.get(row["id"], ""), work, weight=_RUN)
    chosen = work / "chosen.parquet"
    rows = _chosen(ordered, ids, ready.max_per_question, intake)
    intake.kept = write_parquet(rows, chosen, _CHOSEN, weight=_GROUP)
    write_rejects(intake.rejects, out / REJECTS_FILE)
    intake.ledger()
    _check(ready, intake, len(questions))
    counted = _counted(chosen, lambda key: prompt_tokens(questions[key]), completion_tokens)
    write_parquet(counted, out / SAMPLES_FILE, SAMPLES, sorted_by=["question_id"], weight=_GROUP)
    chosen.unlink()
    return intake


def to_solution(record: Record, ready: ReadySolutions, opened_thought: str = "") -> Row | Reject:
    """Id of the question, and the solution, that a row holds, or the reason why there is none."""
    field, value = ready.question, None
    try:
        value = value_of(record.row, ready.question)
        question = as_text(value)
        field, value = ready.solution, None
        value = value_of(record.row, ready.solution)
        solution = _usable(as_text(value), ready, opened_thought.strip())
    except MissingField as error:
        return Reject(record.file, record.line, error.field, excerpt(record.row), str(error))
    except UnusableValue as error:
        return Reject(record.file, record.line, field, excerpt(value), str(error))
    return {"id": question_id(question), "solution": solution}


def _usable(text: str, ready: ReadySolutions, mark: str) -> str:
    check_text(text)
    if not text.strip():
        raise UnusableValue("is empty")
    if len(text) > ready.max_solution_chars:
        raise UnusableValue(f"is {len(text)} characters long, more than max_solution_chars")
    if mark and not text.lstrip().startswith(mark):
        raise UnusableValue(f"does not begin with {mark}, in which the model's prompts end")
    return text.lstrip().removeprefix(mark) if mark else text


def _chosen(
    ordered: Iterable[Mapping[str, Any]], ids: Mapping[str, str], most: int, intake: SolutionIntake
) -> Iterator[Row]:
    """The first `most` different solutions of each question; `ids` leads from the id of a text to that of its row."""
    for digest_of_text, solutions in groupby(ordered, key=lambda row: row["id"]):
        key = ids.get(digest_of_text)
        seen: set[str] = set()
        for text in (row["solution"] for row in solutions):
            digest = digest_text(text.strip())
            if key is None:
                intake.other_question += 1
            elif digest in seen:
                intake.merged += 1
            elif len(seen) == most:
                intake.beyond_limit += 1
            else:
                name = digest_text(canonical_json([ENGINE, key, digest]))[:KEY_DIGITS]
                yield {"key": name, "question_id": key, "sample_index": len(seen), "completion": text}
                seen.add(digest)


def _check(ready: ReadySolutions, intake: SolutionIntake, questions: int) -> None:
    usable = intake.read - intake.rejected
    check_share(
        intake.rejects,
        source=ready.source,
        read=intake.read,
        kept=usable,
        most=ready.max_rejected_share,
        fields=intake.fields,
        paths={f"generate.solutions.{name}": paths_of(getattr(ready, name)) for name in ("question", "solution")},
        otherwise="Give",
    )
    if not intake.kept:
        raise SourceError(
            f"generate.solutions.source: none of the {usable} solutions of {ready.source!r} is of any of the "
            f"{questions} questions; their texts are compared word for word, so both have to come from one set. The "
            f"first solution is of the question {_first_question(ready)!r}"
        )


def _first_question(ready: ReadySolutions) -> str:
    for record in (item for item in _read(ready) if isinstance(item, Record)):
        with suppress(MissingField, UnusableValue):
            return excerpt(value_of(record.row, ready.question))
    return ""


def _counted(
    chosen: Path, prompt_tokens: Callable[[str], int], completion_tokens: Callable[[list[str]], list[int]]
) -> Iterator[Row]:
    """Rows of schema `SAMPLES`."""
    fixed = {"heuristic": "", "finish_reason": ENDED, "engine": ENGINE}
    for rows in (table.to_pylist() for table in read_groups(chosen, _CHOSEN)):
        lengths = completion_tokens([row["completion"] for row in rows])
        for row, tokens in zip(rows, lengths, strict=True):
            numbers = {"prompt_tokens": prompt_tokens(row["question_id"]), "completion_tokens": tokens}
            yield {name: {**row, **fixed, **numbers}[name] for name in SAMPLES.names}


def _read(ready: ReadySolutions) -> Iterator[Record | Reject]:
    if ready.source_digest.startswith("hub:"):
        yield from read_hub(ready.source, ready.subset, ready.split, ready.revision)
    else:
        yield from _files(ready).read(ready.source_digest.partition(":")[2])


def _files(ready: ReadySolutions) -> SourceFiles:
    return SourceFiles(
        ready.source, "solutions", "a teacher (generate.model) in its place", format=ready.format, split=ready.split
    )
