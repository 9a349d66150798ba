"""The texts stage itself: read, check, merge, split, write; every row that came in is accounted for."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from heapq import nsmallest
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.shared.sources.errors import Record, Reject, SourceError
from tasks.shared.sources.rejects import REJECTS_FILE, FieldsSeen, check_share, reasons_of, write_rejects
from tasks.shared.tables.parquet import Row, Weight, read_groups, read_rows, write_parquet
from tasks.shared.tables.sorting import sort_rows
from tasks.spine.store.fingerprint import digest_text
from tasks.texts.config import TextsConfig
from tasks.texts.rows import to_document
from tasks.texts.schema import EVALUATION_FILE, GROUP, TEXTS, TRAIN_FILE
from tasks.texts.sources import read_source

LISTED = 20
"""Duplicates that are named in the manifest."""
_RUN = Weight(GROUP.of, 1 << 27)
_SPOOL = TEXTS
for _name, _kind in (("held_out", pa.bool_()), ("file", pa.string()), ("line", pa.int64())):
    _SPOOL = _SPOOL.append(pa.field(_name, _kind, nullable=False))


@dataclass(frozen=True)
class Duplicate:
    """A row whose document stood in another row already; that one stays."""

    document_id: str
    file: str
    line: int
    first_file: str
    first_line: int


@dataclass
class TextCounts:
    """What became of the rows that were read; `read` is the sum of the others."""

    read: int = 0
    train: int = 0
    evaluation: int = 0
    duplicates: int = 0
    rejected: int = 0
    beyond_limit: int = 0
    listed: list[Duplicate] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)

    def ledger(self) -> dict[str, int]:
        """The counts by name; raises AssertionError if a row was lost or counted twice."""
        names = ("train", "evaluation", "duplicates", "rejected", "beyond_limit")
        parts = {name: getattr(self, name) for name in names}
        assert self.read == sum(parts.values()), f"{self.read} rows read, but {parts}"
        return {"read": self.read, **parts}

    def summary(self) -> dict[str, Any]:
        """What reports say besides the numbers."""
        duplicates = [asdict(each) for each in self.listed]
        return {"reject_reasons": dict(self.reasons.most_common(LISTED)), "duplicates": duplicates}


def build_texts(config: TextsConfig, out: Path, work: Path) -> TextCounts:
    """Write train.parquet, evaluation.parquet (both sorted by id) and rejects.parquet into `out`.

    `config` must have been resolved; `work` holds temporary runs. A document that comes twice is kept once, held out if
    it is held out anywhere. Memory does not grow with the corpus, except for the rejects and for as many ids as
    `evaluation_documents` and `limit` ask for.

    Raises `SourceError` where nothing usable is left for a split or more than `max_rejected_share` was rejected.
    """
    counts, seen = TextCounts(), FieldsSeen()
    rejects: list[Reject] = []
    unique = work / "unique.parquet"
    read = _read(config, counts, rejects, seen)
    ordered = sort_rows(read, _SPOOL, lambda row: (row["document_id"], not row["held_out"]), work, weight=_RUN)
    kept = write_parquet(_merged(ordered, counts), unique, _SPOOL, weight=GROUP)
    counts.rejected, counts.reasons = len(rejects), reasons_of(rejects)
    check_share(
        rejects,
        source=config.source,
        read=counts.read,
        kept=kept,
        most=config.max_rejected_share,
        fields=seen,
        paths={
            name: [path]
            for name, path in (("text_field", config.text_field), ("given_field", config.given_field))
            if path
        },
        otherwise="Give",
    )
    _write_splits(config, unique, out, counts)
    counts.beyond_limit = kept - counts.train - counts.evaluation
    if not counts.train or not counts.evaluation:
        raise SourceError(_nothing_left(config, counts))
    write_rejects(rejects, out / REJECTS_FILE)
    unique.unlink()
    counts.ledger()
    return counts


def _read(config: TextsConfig, counts: TextCounts, rejects: list[Reject], seen: FieldsSeen) -> Iterator[Row]:
    fields = config.fields()
    for held_out in (False, True) if config.held_out_apart else (False,):
        for item in read_source(config, held_out=held_out):
            counts.read += 1
            if isinstance(item, Record):
                seen.note(item.row)
                document = to_document(item, config, fields)
                if not isinstance(document, Reject):
                    yield {**document, "held_out": held_out, "file": item.file, "line": item.line}
                    continue
                item = document
            rejects.append(item)


def _merged(ordered: Iterable[Mapping[str, Any]], counts: TextCounts) -> Iterator[Mapping[str, Any]]:
    for document, same in groupby(ordered, key=lambda row: row["document_id"]):
        rows = iter(same)
        first = next(rows)
        for row in rows:
            counts.duplicates += 1
            if len(counts.listed) < LISTED:
                place = (row["file"], row["line"], first["file"], first["line"])
                counts.listed.append(Duplicate(document, *place))
        yield first


def _write_splits(config: TextsConfig, unique: Path, out: Path, counts: TextCounts) -> None:
    held_out, trained = _Chosen(), _Chosen()
    wanted = config.evaluation_documents
    if config.held_out_apart:
        held_out.take(_places(config, unique, held_out=True), wanted)
        trained.take(_places(config, unique, held_out=False), config.limit)
    else:
        held_out.take(_places(config, unique, held_out=False), wanted)
        limit = None if config.limit is None else wanted + config.limit
        trained.take(_places(config, unique, held_out=False), limit, after=held_out.last)
    for path, chosen, apart in ((EVALUATION_FILE, held_out, config.held_out_apart), (TRAIN_FILE, trained, False)):
        rows = (
            {name: row[name] for name in TEXTS.names}
            for table in read_groups(unique, _SPOOL)
            for row in table.to_pylist()
            if row["held_out"] == apart and _place(config, row["document_id"]) in chosen
        )
        count = write_parquet(rows, out / path, TEXTS, sorted_by=("document_id",), weight=GROUP)
        setattr(counts, path.removesuffix(".parquet"), count)


class _Chosen:
    """A stretch of the order that documents are taken in."""

    def __init__(self) -> None:
        self.after, self.last = -1, -1

    def take(self, places: Iterator[int], count: int | None, after: int = -1) -> None:
        """The first `count` places, or all, without those up to `after`; holds `count` of them in memory."""
        nearest = [max(places, default=-1)] if count is None else nsmallest(count, places)
        self.after, self.last = after, max(nearest, default=-1)

    def __contains__(self, place: int) -> bool:
        return self.after < place <= self.last


def _places(config: TextsConfig, unique: Path, *, held_out: bool) -> Iterator[int]:
    for row in read_rows(unique, ["document_id", "held_out"]):
        if row["held_out"] == held_out:
            yield _place(config, row["document_id"])


def _place(config: TextsConfig, document_id: str) -> int:
    """Where a document stands in the order drawn by the seed; no other has the same place."""
    return int(digest_text(f"{config.seed}:{document_id}")[:16] + document_id, 16)


def _nothing_left(config: TextsConfig, counts: TextCounts) -> str:
    found = f"{counts.read - counts.rejected - counts.duplicates} usable documents at {config.source!r}"
    if not counts.evaluation:
        return f"evaluation_source: none of the documents of {config.evaluation_source or config.source!r} can be used"
    if config.held_out_apart:
        return f"{found}: none is left for training, all stand among the held-out ones too; give another source"
    return (
        f"evaluation_documents={config.evaluation_documents} takes all of the {found}, and none is left for training; "
        "lower it, or set evaluation_source"
    )
