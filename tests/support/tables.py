"""Checks of the tables that stages write."""

from pathlib import Path

import pyarrow as pa

from tasks.shared.tables.parquet import read_rows


def check_schema(path: Path, schema: pa.Schema) -> None:
    """Read a table to its end; ParquetError unless it is whole and has the columns and types of `schema`."""
    for _ in read_rows(path, schema=schema):
        pass
