"""Sorting more rows than memory holds: sorted runs on disk, then a merge."""

import heapq
import itertools
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from tasks.shared.tables.parquet import READ_ROWS, Row, Weight, in_chunks, read_groups, write_parquet

RUN_ROWS = 50_000
"""Rows held in memory while sorting: about 100 MB at 2 kB a row."""
RUN_PARTS = 64
"""Parts of every run, one of which is in memory while runs are merged."""


def sort_rows(
    rows: Iterable[Mapping[str, Any]],
    schema: pa.Schema,
    key: Callable[[Mapping[str, Any]], Any],
    work_dir: Path,
    *,
    run_rows: int = RUN_ROWS,
    weight: Weight | None = None,
) -> Iterator[Mapping[str, Any]]:
    """Yield `rows` ordered by `key` (ties keep their order), with at most `run_rows` of them in memory.

    More rows than that, or than `weight` allows, are sorted in runs, kept as Parquet in a temporary folder under
    `work_dir`, and merged.
    """
    chunks = in_chunks(rows, run_rows, weight)
    part = Weight(weight.of, max(1, weight.most // RUN_PARTS)) if weight else None
    first = sorted(next(chunks, []), key=key)
    second = next(chunks, None)
    if second is None:
        yield from first
        return
    Path(work_dir).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=work_dir, prefix="sort-") as folder:
        runs = []
        for index, chunk in enumerate(itertools.chain([first, second], chunks)):
            runs.append(Path(folder) / f"run-{index:05d}.parquet")
            write_parquet(sorted(chunk, key=key), runs[-1], schema, group_rows=READ_ROWS, weight=part)
        with ExitStack() as stack:
            readers = [stack.enter_context(_closing(_rows_of_groups(run, schema))) for run in runs]
            yield from heapq.merge(*readers, key=key)


@contextmanager
def _closing(rows: Iterator[Row]) -> Iterator[Iterator[Row]]:
    try:
        yield rows
    finally:
        rows.close()  # type: ignore[attr-defined]


def _rows_of_groups(path: Path, schema: pa.Schema) -> Iterator[Row]:
    for table in read_groups(path, schema):
        yield from table.to_pylist()
