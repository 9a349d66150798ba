"""The questions stage itself: read, map, merge, limit, write; every row that came in is accounted for."""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from heapq import nsmallest
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.questions.config import QuestionsConfig
from tasks.questions.fields import FieldMapping
from tasks.questions.ids import normalise
from tasks.questions.rows import TINY_FIELDS, to_question
from tasks.questions.schema import QUESTIONS, QUESTIONS_FILE
from tasks.questions.sources import read_source
from tasks.shared.sources.errors import Record, Reject, excerpt
from tasks.shared.sources.paths import paths_of
from tasks.shared.sources.rejects import REJECTS_FILE, FieldsSeen, check_share, reasons_of, write_rejects
from tasks.shared.tables.parquet import read_rows, write_parquet
from tasks.shared.tables.sorting import sort_rows
from tasks.spine.store.fingerprint import digest_text

CONFLICT = "same question with another answer elsewhere"

_SPOOL = QUESTIONS.append(pa.field("position", pa.int64(), nullable=False))
_SPOOL = _SPOOL.append(pa.field("file", pa.string(), nullable=False))
_SPOOL = _SPOOL.append(pa.field("line", pa.int64(), nullable=False))


@dataclass
class QuestionCounts:
    """What became of the rows that were read; `read` is the sum of the others."""

    read: int = 0
    kept: int = 0
    merged: int = 0
    rejected: int = 0
    beyond_limit: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def ledger(self) -> dict[str, int]:
        """The counts by name; raises AssertionError if a row was lost or counted twice."""
        parts = {
            "kept": self.kept,
            "merged": self.merged,
            "rejected": self.rejected,
            "beyond_limit": self.beyond_limit,
        }
        assert self.read == sum(parts.values()), f"{self.read} rows read, but {parts}"
        return {"read": self.read, **parts}


def build_questions(config: QuestionsConfig, out: Path, work: Path) -> QuestionCounts:
    """Write questions.parquet (sorted by id) and rejects.parquet into `out`; `work` holds temporary runs.

    `config` must have been resolved. Rows with the same normalised question and the same answer are merged (the first
    stays); with different answers all of them are rejected, because no answer of theirs can be trusted. Memory does
    not grow with the number of rows, except for the rejects.

    Raises `SourceError` where nothing usable is left or more than `max_rejected_share` was rejected.
    """
    counts = QuestionCounts()
    rejects: list[Reject] = []
    mapping = TINY_FIELDS if config.source == "tiny" else config.mapping()
    seen_fields = FieldsSeen()
    mapped = _mapped(config, mapping, counts, rejects, seen_fields)
    unique = work / "unique.parquet"
    ordered = sort_rows(mapped, _SPOOL, lambda row: row["id"], work)
    write_parquet(_merged(ordered, counts, rejects), unique, _SPOOL)
    counts.rejected = len(rejects)
    counts.reasons = reasons_of(rejects)
    kept = _within_limit(unique, config, counts)
    counts.kept = write_parquet(kept, out / QUESTIONS_FILE, QUESTIONS, sorted_by=("id",))
    write_rejects(rejects, out / REJECTS_FILE)
    unique.unlink()
    counts.ledger()
    check_share(
        rejects,
        source=config.source,
        read=counts.read,
        kept=counts.kept,
        most=config.max_rejected_share,
        fields=seen_fields,
        paths={f"fields.{part}": paths_of(getattr(mapping, part)) for part in ("question", "answer")},
        otherwise="Choose another preset, or give",
    )
    return counts


def load(config: QuestionsConfig, out: Path) -> dict[str, int]:
    """Write a resolved question set to the Parquet file `out` and its rejects beside it; returns the ledger.

    The rejects go to `<name>.rejects.parquet`. Raises as `build_questions`; then neither file is written.
    """
    out.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out.parent, prefix=f".{out.stem}-") as folder:
        counts = build_questions(config, Path(folder), Path(folder))
        (Path(folder) / REJECTS_FILE).replace(out.with_suffix(".rejects.parquet"))
        (Path(folder) / QUESTIONS_FILE).replace(out)
    return counts.ledger()


def _mapped(
    config: QuestionsConfig,
    mapping: FieldMapping,
    counts: QuestionCounts,
    rejects: list[Reject],
    seen_fields: FieldsSeen,
) -> Iterator[dict[str, Any]]:
    for position, item in enumerate(read_source(config)):
        counts.read += 1
        if isinstance(item, Record):
            seen_fields.note(item.row)
            question = to_question(item, config, mapping)
            if not isinstance(question, Reject):
                yield {**question, "position": position, "file": item.file, "line": item.line}
                continue
            item = question
        rejects.append(item)


def _merged(
    ordered: Iterable[Mapping[str, Any]], counts: QuestionCounts, rejects: list[Reject]
) -> Iterator[Mapping[str, Any]]:
    for _, same in groupby(ordered, key=lambda row: row["id"]):
        first, *others = same
        if all(normalise(other["answer"]) == normalise(first["answer"]) for other in others):
            counts.merged += len(others)
            yield first
        else:
            rejects.extend(
                Reject(row["file"], row["line"], "answer", excerpt(row["answer"]), CONFLICT) for row in (first, *others)
            )


def _within_limit(unique: Path, config: QuestionsConfig, counts: QuestionCounts) -> Iterator[dict[str, Any]]:
    last = _last_place(unique, config)
    for row in read_rows(unique):
        if last is not None and _place(row, config) > last:
            counts.beyond_limit += 1
        else:
            yield {name: row[name] for name in QUESTIONS.names}


def _last_place(unique: Path, config: QuestionsConfig) -> int | None:
    """The place of the last row within the limit, or None where all are; holds `limit` places in memory."""
    if config.limit is None:
        return None
    places = (_place(row, config) for row in read_rows(unique, ["id", "position"]))
    nearest = nsmallest(config.limit, places)
    return nearest[-1] if nearest else None


def _place(row: Mapping[str, Any], config: QuestionsConfig) -> int:
    """A number that no other question has; the limit keeps the questions with the smallest."""
    if config.order == "file":
        return int(row["position"])
    drawn = int(digest_text(f"{config.seed}:{row['id']}")[:16], 16)
    return drawn << 64 | int(row["id"], 16)
