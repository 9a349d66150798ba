"""The row-addressed pool: what a model wrote, kept for good, found by key.

    pool/<model and sampling>/<digest of the batch's keys>.parquet

Batches are written under a temporary name and renamed, and never touched again. A kill therefore loses the batch in
flight and nothing else. A batch that cannot be read is set aside (`.corrupt`) and its rows are generated anew. Two
runs may write one key twice; the batch whose name sorts first wins.
"""

import contextlib
import logging
import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.shared.sampling.placing import PLACE, in_order
from tasks.shared.sampling.schema import POOLED
from tasks.shared.tables.parquet import Row, column_types
from tasks.spine.store.files import Files
from tasks.spine.store.fingerprint import digest_text

log = logging.getLogger(__name__)

SUFFIX = ".parquet"
SET_ASIDE = ".corrupt"
SCAN_THREADS = 8


class PoolDamaged(RuntimeError):
    """A batch was readable when the pool was scanned and is not any more; a retry generates its rows anew."""


class SamplesMissing(RuntimeError):
    """Samples that were asked for and are not in the pool."""


@dataclass
class PoolIndex:
    """Which batch holds each key."""

    batch_of: dict[str, str] = field(default_factory=dict)
    set_aside: list[str] = field(default_factory=list)
    """Batches that could not be read, now renamed."""
    duplicates: int = 0
    """Rows that another batch holds too."""


class Pool:
    """One folder of batches, local or remote."""

    def __init__(self, uri: str) -> None:
        self._files = Files(uri)

    def scan(self) -> PoolIndex:
        """Read the keys of every batch; what cannot be read is set aside, counted and logged."""
        index = PoolIndex()
        names = self._names()
        with ThreadPoolExecutor(SCAN_THREADS) as threads:
            for name, keys in zip(names, threads.map(self._keys, names), strict=True):
                if keys is None:
                    index.set_aside.append(name)
                    continue
                before = len(index.batch_of)
                for key in keys:
                    index.batch_of.setdefault(key, name)
                index.duplicates += before + len(keys) - len(index.batch_of)
        if index.set_aside:
            log.warning(
                "%d damaged batches of the pool were set aside as *%s; their rows are generated anew: %s",
                len(index.set_aside),
                SET_ASIDE,
                ", ".join(index.set_aside),
            )
        return index

    def damaged(self) -> Iterator[tuple[str, str]]:
        """Every batch that cannot be read to its end, with the reason; none is set aside."""
        for name in self._names():
            try:
                rows = _parse(self._bytes(name), POOLED.names)
                if _batch_name(rows.column("key").to_pylist()) != name:
                    yield name, "its rows are not those that its name was made from"
            except FileNotFoundError:
                continue
            except _Damaged as error:
                yield name, f"cannot be read: {error}"

    def _names(self) -> list[str]:
        return [name for name in self._files.folders("") if name.endswith(SUFFIX) and not name.startswith(".")]

    def write(self, rows: Sequence[Row]) -> str:
        """Add one batch (rows of schema `POOLED`); returns its name. Readers see the whole batch or none of it."""
        rows = sorted(rows, key=lambda row: row["key"])
        name = _batch_name([row["key"] for row in rows])
        with tempfile.TemporaryDirectory() as folder:
            local = Path(folder) / name
            table = pa.Table.from_pylist(rows, schema=POOLED)
            pq.write_table(table, local, compression="zstd", write_page_checksum=True)
            self._files.put_file(local, name)
        return name

    def ordered(self, wanted: Callable[[], Iterable[Row]], index: PoolIndex, work_dir: Path) -> Iterator[Row]:
        """The pool's rows for `wanted` (rows with key, question_id, heuristic, sample_index), in that order.

        Each batch is read once, however its rows are scattered; where they are many, they pass through `work_dir`.

        Args:
            wanted: gives the same rows whenever it is called, which is twice.

        Raises:
            SamplesMissing: a wanted row is not in the pool; names question, heuristic and sample.
            PoolDamaged: a batch was damaged since the scan.
        """
        places: dict[str, dict[str, list[int]]] = defaultdict(dict)
        missing: list[Row] = []
        count = 0
        for place, row in enumerate(wanted()):
            count += 1
            name = index.batch_of.get(row["key"])
            if name is None:
                missing.append(row)
            else:
                places[name].setdefault(row["key"], []).append(place)
        if missing:
            raise SamplesMissing(_describe(missing))
        for row, sample in zip(wanted(), in_order(self._placed(places), count, work_dir), strict=True):
            yield {**row, **sample}

    def _placed(self, places: Mapping[str, dict[str, list[int]]]) -> Iterator[pa.Table]:
        """The wanted rows of each batch, with their places among all that are wanted."""
        for name in sorted(places):
            waiting, table = places[name], self._read(name)
            rows, found = [], []
            for number, key in enumerate(table.column("key").to_pylist()):
                at = waiting.pop(key, [])
                rows += [number] * len(at)
                found += at
            if waiting:
                raise PoolDamaged(f"pool batch {name} has lost {len(waiting)} rows since it was scanned; run again")
            yield table.take(rows).append_column(PLACE, pa.array(found, pa.int64()))

    def _read(self, name: str) -> pa.Table:
        try:
            return _parse(self._bytes(name), POOLED.names)
        except _Damaged as error:
            self._set_aside(name)
            raise PoolDamaged(f"pool batch {name} cannot be read ({error}) and was set aside; run again") from error

    def _keys(self, name: str) -> list[str] | None:
        """Keys of a batch, or None when it is damaged: not whole, or not the rows that its name was made from."""
        try:
            keys: list[str] = _parse(self._bytes(name), ["key"]).column("key").to_pylist()
            if _batch_name(keys) == name:
                return keys
        except FileNotFoundError:
            return []
        except _Damaged as error:
            log.warning("pool batch %s cannot be read: %s", name, error)
        self._set_aside(name)
        return None

    def _bytes(self, name: str) -> bytes:
        content: bytes = self._files.fs.cat_file(self._files.full(name))
        return content

    def _set_aside(self, name: str) -> None:
        source = self._files.full(name)
        with contextlib.suppress(FileNotFoundError):
            self._files.fs.mv(source, source + SET_ASIDE)


class _Damaged(Exception):
    """Bytes that are not a whole batch."""


def _parse(content: bytes, columns: Sequence[str]) -> pa.Table:
    """Columns of a batch that was read into memory, so that a failing disk is never taken for a damaged batch."""
    try:
        with pq.ParquetFile(pa.BufferReader(content), page_checksum_verification=True) as file:
            if column_types(file.schema_arrow) != column_types(POOLED):
                raise _Damaged(f"columns are {column_types(file.schema_arrow)}")
            return file.read(columns=list(columns))
    except Exception as error:
        # No file is touched here, so that whatever goes wrong (Arrow, Unicode, memory) lies in the bytes.
        raise _Damaged(str(error)) from error


def _batch_name(keys: Sequence[str]) -> str:
    return digest_text("\n".join(keys))[:32] + SUFFIX


def _describe(missing: Sequence[Row]) -> str:
    named = ", ".join(
        f"question {row['question_id']} under {row['heuristic'] or 'the plain prompt'!r} #{row['sample_index']}"
        for row in missing[:5]
    )
    return f"{len(missing)} samples are not in the pool: {named}{', ...' if len(missing) > 5 else ''}; run again"
