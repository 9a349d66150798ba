"""Building a corpus: read, check, merge, split, write; every row that came in is accounted for."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.intake import Intake, drawn_place, last_place, spool_schema
from tasks.shared.sources.rejects import REJECTS_FILE, check_share, write_rejects
from tasks.shared.tables.parquet import Row, Weight, read_groups, read_rows, write_parquet
from tasks.shared.tables.sorting import sort_rows
from tasks.texts.config import TextsConfig
from tasks.texts.rows import to_document
from tasks.texts.schema import EVALUATION_FILE, GROUP, TEXTS, TRAIN_FILE
from tasks.texts.sources import read_source

LISTED = 20
"""Duplicates that are named in the manifest."""
_RUN = Weight(GROUP.of, 1 << 27)
_SPOOL = spool_schema(TEXTS, held_out=pa.bool_())


@dataclass(frozen=True)
class Duplicate:
    """A row whose document stood in another row already; that one stays."""

    document_id: str
    file: str
    line: int
    first_file: str
    first_line: int


@dataclass
class TextIntake(Intake):
    """Counts of the rows of a corpus by what became of them."""

    PARTS: ClassVar[tuple[str, ...]] = ("train", "evaluation", "duplicates", "rejected", "beyond_limit")

    train: int = 0
    evaluation: int = 0
    duplicates: int = 0
    listed: list[Duplicate] = field(default_factory=list)
    """The first duplicates."""

    def summary(self) -> dict[str, Any]:
        """Reasons and duplicates for the manifest, besides the numbers."""
        duplicates = [asdict(duplicate) for duplicate in self.listed]
        return {"reject_reasons": dict(self.reasons.most_common(LISTED)), "duplicates": duplicates}


def build_texts(config: TextsConfig, out: Path, work: Path) -> TextIntake:
    """Write train.parquet, evaluation.parquet (both sorted by id) and rejects.parquet into `out`.

    `config` must have been resolved; `work` holds temporary runs. A document that comes twice is kept once, held out if
    it is held out anywhere. Memory does not grow with the corpus, except for as many ids as
    `evaluation_documents` and `limit` ask for.

    Raises `SourceError` where nothing usable is left for a split or more than `max_rejected_share` was rejected.
    """
    intake = TextIntake()
    unique = work / "unique.parquet"
    ordered = sort_rows(
        _read(config, intake), _SPOOL, lambda row: (row["document_id"], not row["held_out"]), work, weight=_RUN
    )
    kept = write_parquet(_merged(ordered, intake), unique, _SPOOL, weight=GROUP)
    check_share(
        intake.rejects,
        source=config.source,
        read=intake.read,
        kept=kept,
        most=config.max_rejected_share,
        fields=intake.fields,
        paths={
            name: [path]
            for name, path in (("text_field", config.text_field), ("given_field", config.given_field))
            if path
        },
        otherwise="Give",
    )
    _write_splits(config, unique, out, intake)
    intake.beyond_limit = kept - intake.train - intake.evaluation
    if not intake.train or not intake.evaluation:
        raise SourceError(_nothing_left(config, intake))
    write_rejects(intake.rejects, out / REJECTS_FILE)
    unique.unlink()
    intake.ledger()
    return intake


def _read(config: TextsConfig, intake: TextIntake) -> Iterator[Row]:
    to_row = partial(to_document, config=config, fields=config.fields())
    for held_out in (False, True) if config.held_out_apart else (False,):
        yield from intake.mapped(read_source(config, held_out=held_out), to_row, held_out=held_out)


def _merged(ordered: Iterable[Mapping[str, Any]], intake: TextIntake) -> Iterator[Mapping[str, Any]]:
    for document, same in groupby(ordered, key=lambda row: row["document_id"]):
        rows = iter(same)
        first = next(rows)
        for row in rows:
            intake.duplicates += 1
            if len(intake.listed) < LISTED:
                place = (row["file"], row["line"], first["file"], first["line"])
                intake.listed.append(Duplicate(document, *place))
        yield first


def _write_splits(config: TextsConfig, unique: Path, out: Path, intake: TextIntake) -> None:
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
            if row["held_out"] == apart and drawn_place(config.seed, row["document_id"]) in chosen
        )
        count = write_parquet(rows, out / path, TEXTS, sorted_by=("document_id",), weight=GROUP)
        setattr(intake, path.removesuffix(".parquet"), count)


class _Chosen:
    """A stretch of the order that documents are taken in."""

    def __init__(self) -> None:
        self.after, self.last = -1, -1

    def take(self, places: Iterator[int], count: int | None, after: int = -1) -> None:
        """Take the first `count` places, or all, without those up to `after`; holds `count` of them in memory."""
        self.after = after
        self.last = max(places, default=-1) if count is None else last_place(places, count)

    def __contains__(self, place: int) -> bool:
        return self.after < place <= self.last


def _places(config: TextsConfig, unique: Path, *, held_out: bool) -> Iterator[int]:
    for row in read_rows(unique, ["document_id", "held_out"]):
        if row["held_out"] == held_out:
            yield drawn_place(config.seed, row["document_id"])


def _nothing_left(config: TextsConfig, intake: TextIntake) -> str:
    usable = f"{intake.read - intake.rejected - intake.duplicates} usable documents at {config.source!r}"
    if not intake.evaluation:
        return f"evaluation_source: none of the documents of {config.evaluation_source or config.source!r} can be used"
    if config.held_out_apart:
        return f"{usable}: none is left for training, all stand among the held-out ones too; give another source"
    return (
        f"evaluation_documents={config.evaluation_documents} takes all of the {usable}, and none is left for training; "
        "lower it, or set evaluation_source"
    )
