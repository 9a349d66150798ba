"""`midtrain verify`: a verdict for every row of a file of completions, and how often a second check disagrees."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
from rich.console import Console

from tasks.shared.sources.values import UnusableValue, as_text
from tasks.shared.tables.out_file import check_place, content
from tasks.shared.tables.parquet import ParquetError, opened, write_parquet
from tasks.shared.verification.pool import VerifierPool
from tasks.shared.verification.second_check import second_verdicts
from tasks.shared.verification.verdict import Verdict, verdicts_in_words

SCHEMA = pa.schema(
    [
        pa.field("verdict", pa.string(), nullable=False),
        pa.field("extracted", pa.string()),
        pa.field("rule", pa.string(), nullable=False),
        pa.field("seconds", pa.float64(), nullable=False),
    ]
)
ROWS_AT_ONCE = 2_000
_NAMED_ROWS = 5


@dataclass
class VerdictTally:
    """What became of the rows, and which of them a second check judges otherwise."""

    verdicts: Counter[str] = field(default_factory=Counter)
    unreadable: list[str] = field(default_factory=list)
    checked: int = 0
    undecided: int = 0
    only_here: list[int] = field(default_factory=list)
    only_there: list[int] = field(default_factory=list)


class _Pairs(list[tuple[str, Any]]):
    """An object as it stands in its file, a key that comes twice included."""


@dataclass(frozen=True)
class FieldNames:
    """Fields of a row that hold the gold answer and the completion."""

    gold: str
    completion: str


def verify_file(source: Path, out: Path, fields: FieldNames, workers: int, second: bool, console: Console) -> None:
    """Write one verdict for each line of a JSONL file, print how they fell.

    Raises:
        ValueError: the file is missing, empty or `out` itself, no row of it can be read, or `out` holds something else.
        Permanent: `out` cannot be written.
    """
    if not source.is_file():
        raise ValueError(f"{source} is no file; give a JSONL file with one completion and its gold answer a line")
    if out.exists() and out.samefile(source):
        raise ValueError(f"--out {out} is the file that is read; give another name")
    check_place(out)
    if out.exists() and not _holds_verdicts(out):
        raise ValueError(f"--out {out} is there already and holds no verdicts ({content(out)}); give another name")
    tally = VerdictTally()
    with VerifierPool(workers) as pool:
        count = write_parquet(_rows(source, fields, pool, second, tally), out, SCHEMA)
    if not count:
        out.unlink()
        raise ValueError(f"{source} has no rows")
    console.print(f"{count:,} rows: {verdicts_in_words(tally.verdicts)}. Written: {out}", markup=False, soft_wrap=True)
    if tally.unreadable:
        named = "; ".join(tally.unreadable[:_NAMED_ROWS]) + ("; ..." if len(tally.unreadable) > _NAMED_ROWS else "")
        console.print(f"{len(tally.unreadable):,} rows cannot be read: {named}", markup=False, soft_wrap=True)
    if len(tally.unreadable) == count:
        raise ValueError(f"no row of {source} can be read; give JSONL, and the names of its fields")
    if second:
        console.print(_disagreement(tally), markup=False, soft_wrap=True)


def _rows(
    source: Path, fields: FieldNames, pool: VerifierPool, second: bool, tally: VerdictTally
) -> Iterator[dict[str, Any]]:
    with source.open("rb") as lines:
        numbered = ((number, line) for number, line in enumerate(lines, start=1) if line.strip())
        while batch := list(islice(numbered, ROWS_AT_ONCE)):
            read = [_pair(line, f"{source}:{number}", fields) for number, line in batch]
            pairs = [item for item in read if isinstance(item, tuple)]
            verdicts = iter(pool.verify(pairs))
            others = iter(second_verdicts(pairs)) if second else None
            for (number, _), item in zip(batch, read, strict=True):
                if isinstance(item, str):
                    tally.unreadable.append(item)
                    verdict = Verdict("error", None, "input: the row cannot be read")
                else:
                    verdict = next(verdicts)
                    _compare(number, verdict, next(others) if others else None, tally)
                tally.verdicts[verdict.verdict] += 1
                yield {
                    "verdict": verdict.verdict,
                    "extracted": _storable(verdict.extracted),
                    "rule": verdict.rule,
                    "seconds": verdict.seconds,
                }


def _holds_verdicts(out: Path) -> bool:
    try:
        with opened(out) as file:
            return bool(file.schema_arrow.names == SCHEMA.names)
    except ParquetError:
        return False


def _pair(line: bytes, place: str, fields: FieldNames) -> tuple[str, str] | str:
    """Completion and gold answer of a line, or what is wrong with it."""
    try:
        pairs = json.loads(line.decode("utf-8-sig"), object_pairs_hook=_Pairs)
    except (ValueError, RecursionError) as error:
        return f"{place} is no JSON in UTF-8: {error}"
    if not isinstance(pairs, _Pairs):
        return f"{place} is no JSON object"
    names, row = [name for name, _ in pairs], dict(pairs)
    for name in (fields.completion, fields.gold):
        if names.count(name) != 1:
            found = "has no" if name not in row else "has more than one"
            return f"{place} {found} field {name!r}; it has {', '.join(map(repr, names)) or 'none'}"
    completion = row[fields.completion]
    if not isinstance(completion, str):
        return f"{place}: field {fields.completion!r} is {json.dumps(completion)[:80]}, which is no text"
    try:
        gold = as_text(row[fields.gold])
    except UnusableValue as error:
        return f"{place}: field {fields.gold!r} {error}"
    return (completion, gold) if gold.strip() else f"{place}: field {fields.gold!r} is empty"


def _compare(number: int, verdict: Verdict, other: bool | None, tally: VerdictTally) -> None:
    if other is None:
        tally.undecided += 1
        return
    tally.checked += 1
    here = verdict.verdict == "correct"
    if here != other:
        (tally.only_here if here else tally.only_there).append(number)


def _disagreement(tally: VerdictTally) -> str:
    differing = len(tally.only_here) + len(tally.only_there)
    share = f" ({differing / tally.checked:.1%})" if tally.checked else ""
    text = f"Math-Verify {version('math-verify')} by itself disagrees on {differing:,} of {tally.checked:,} rows{share}"
    for rows, words in ((tally.only_here, "correct here only"), (tally.only_there, "correct there only")):
        if rows:
            more = ", ..." if len(rows) > _NAMED_ROWS else ""
            text += f"; {len(rows):,} {words} (lines {', '.join(map(str, rows[:_NAMED_ROWS]))}{more})"
    return text + (f"; it came to no end on {tally.undecided:,}" if tally.undecided else "") + "."


def _storable(text: str | None) -> str | None:
    """The text without halves of surrogate pairs, which a completion may hold and Parquet may not."""
    return None if text is None else text.encode("utf-8", "replace").decode()
