"""Some rows of a table by their places, without reading the rest."""

from collections.abc import Collection, Iterator
from pathlib import Path

from tasks.shared.tables.parquet import Row, damage_named, opened


def rows_at(path: Path, places: Collection[int]) -> Iterator[Row]:
    """The rows at some places, counted from 0, in the order of the table; only row groups that hold one are read.

    Raises `ParquetError` for a file that is not whole.
    """
    start, wanted = 0, sorted(set(places))
    with opened(path) as file, damage_named(path):
        for group in range(file.num_row_groups):
            end = start + file.metadata.row_group(group).num_rows
            if inside := [place - start for place in wanted if start <= place < end]:
                yield from file.read_row_group(group).take(inside).to_pylist()
            start = end
