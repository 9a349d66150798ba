"""Rows that arrive in any order, given back by their places, with bounded memory and each written at most once.

A place is a row's number in the order wanted. Where the rows are many, each goes to the file of its range of places,
and one range after the other is read back and sorted: the time is linear however scattered they come.
"""

import math
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tasks.shared.tables.parquet import READ_ROWS, Row

PLACE = "place"
RANGE_ROWS = 50_000
"""Places of a range: the most rows held in memory."""
RANGE_BYTES = 64 * 2**20
"""Fewer rows are held where they are large, as those of the first table are."""
MOST_RANGES = 256
"""Files that are open at once."""


def in_order(tables: Iterable[pa.Table], count: int, work_dir: Path) -> Iterator[Row]:
    """Yield `count` rows of tables in the order of their column `place`, without it; files lie below `work_dir`."""
    waiting = iter(tables)
    first = next(waiting, None)
    if first is None:
        return
    span = min(RANGE_ROWS, RANGE_BYTES * first.num_rows // max(first.nbytes, 1))
    span = max(span, math.ceil(count / MOST_RANGES))
    held: list[pa.Table] = []
    rows = 0
    with tempfile.TemporaryDirectory(dir=work_dir, prefix="placing-") as folder:
        with ExitStack() as stack:
            writers: dict[int, pq.ParquetWriter] = {}
            for table in chain([first], waiting):
                held.append(table)
                rows += table.num_rows
                if rows > span:
                    _part(pa.concat_tables(held), span, Path(folder), writers, stack)
                    held, rows = [], 0
            if writers and held:
                _part(pa.concat_tables(held), span, Path(folder), writers, stack)
        if not writers:
            yield from _sorted_rows(pa.concat_tables(held))
        for number in sorted(writers):
            yield from _sorted_rows(pq.read_table(_file(Path(folder), number), page_checksum_verification=True))


def _part(table: pa.Table, span: int, folder: Path, writers: dict[int, pq.ParquetWriter], stack: ExitStack) -> None:
    """Write each row to the file of its range."""
    table = table.sort_by(PLACE)
    numbers = table.column(PLACE).to_numpy() // span
    found, starts = np.unique(numbers, return_index=True)
    for number, start, end in zip(found.tolist(), starts, [*starts[1:], len(numbers)], strict=True):
        if number not in writers:
            writer = pq.ParquetWriter(_file(folder, number), table.schema, compression="lz4", write_page_checksum=True)
            writers[number] = stack.enter_context(writer)
        writers[number].write_table(table.slice(start, end - start))


def _file(folder: Path, number: int) -> Path:
    return folder / f"{number}.parquet"


def _sorted_rows(table: pa.Table) -> Iterator[Row]:
    for batch in table.sort_by(PLACE).drop_columns([PLACE]).to_batches(READ_ROWS):
        yield from batch.to_pylist()
