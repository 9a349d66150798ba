"""Building a question set: read, map, merge, part, limit, write; every row that came in is accounted for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

from tasks.questions.config import QuestionsConfig
from tasks.questions.fields import SYNONYMS
from tasks.questions.rows import TINY_FIELDS, members, normalise, to_question
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.questions.sources import read_source
from tasks.shared.sources.errors import Reject, excerpt
from tasks.shared.sources.intake import Intake, drawn_place, last_place, spool_schema
from tasks.shared.sources.paths import paths_of
from tasks.shared.sources.rejects import REJECTS_FILE, RejectLog, check_share, write_rejects
from tasks.shared.tables.parquet import Row, Weight, read_groups, read_rows, write_parquet
from tasks.shared.tables.sorting import sort_rows

CONFLICT = "same question with another answer elsewhere"
_SPOOL = spool_schema(QUESTIONS)
_GROUP = Weight(lambda row: len(row["question"]) + len(row["meta"]), 1 << 23)
"""Bound on a row group: characters. What is noted in `meta` may be long."""
_RUN = Weight(_GROUP.of, 1 << 27)


@dataclass
class QuestionIntake(Intake):
    """Counts of the rows of a question set by what became of them."""

    PARTS: ClassVar[tuple[str, ...]] = ("kept", "merged", "rejected", "other_part", "beyond_limit")

    kept: int = 0
    merged: int = 0
    other_part: int = 0


def build_questions(config: QuestionsConfig, out: Path, work: Path) -> QuestionIntake:
    """Write questions.parquet (sorted by id) and rejects.parquet into `out`; `work` holds temporary runs.

    `config` must have been resolved. Rows with the same normalised question and the same answer are merged (the first
    stays); with different answers all of them are rejected, because no answer of theirs can be trusted. Memory does
    not grow with the number of rows.

    Raises `SourceError` where nothing usable is left or more than `max_rejected_share` was rejected.
    """
    intake = QuestionIntake()
    mapping = TINY_FIELDS if config.source == "tiny" else config.mapping()
    mapped = intake.mapped(members(read_source(config), mapping), partial(to_question, config=config, mapping=mapping))
    unique = work / "unique.parquet"
    ordered = sort_rows(mapped, _SPOOL, lambda row: row["id"], work, weight=_RUN)
    write_parquet(_merged(ordered, intake), unique, _SPOOL, weight=_GROUP)
    kept = _taken(unique, config, intake)
    intake.kept = write_parquet(kept, out / QUESTIONS_FILE, QUESTIONS, sorted_by=("id",), weight=_GROUP)
    write_rejects(intake.rejects, out / REJECTS_FILE)
    unique.unlink()
    intake.ledger()
    check_share(
        intake.rejects,
        source=config.source,
        read=intake.read,
        kept=intake.kept,
        most=config.max_rejected_share,
        fields=intake.fields,
        paths={f"fields.{part}": paths_of(getattr(mapping, part)) for part in SYNONYMS},
        synonyms={f"fields.{part}": names for part, names in SYNONYMS.items()},
        otherwise="Choose another preset, or give",
    )
    return intake


def _merged(ordered: Iterable[Mapping[str, Any]], intake: QuestionIntake) -> Iterator[Mapping[str, Any]]:
    for _, same in groupby(ordered, key=lambda row: row["id"]):
        rows = iter(same)
        first = next(rows)
        answer, agree, others = normalise(first["answer"]), True, RejectLog()
        for other in rows:
            agree = agree and normalise(other["answer"]) == answer
            others.append(_conflicting(other))
        if agree:
            intake.merged += len(others)
            yield first
        else:
            intake.rejects.append(_conflicting(first))
            intake.rejects.extend(others)


def _conflicting(row: Mapping[str, Any]) -> Reject:
    return Reject(row["file"], row["line"], "answer", excerpt(row["answer"]), CONFLICT)


def _taken(unique: Path, config: QuestionsConfig, intake: QuestionIntake) -> Iterator[Row]:
    last = None
    if config.limit is not None:
        held = (row for row in read_rows(unique, ["id", "position"]) if config.holds(row["id"]))
        last = last_place((_place(row, config) for row in held), config.limit)
    for row in (row for table in read_groups(unique, _SPOOL) for row in table.to_pylist()):
        if not config.holds(row["id"]):
            intake.other_part += 1
        elif last is not None and _place(row, config) > last:
            intake.beyond_limit += 1
        else:
            yield {name: row[name] for name in QUESTIONS.names}


def _place(row: Mapping[str, Any], config: QuestionsConfig) -> int:
    """A number that no other question has; the limit keeps the questions with the smallest."""
    return int(row["position"]) if config.order == "file" else drawn_place(config.seed, row["id"])
