"""Rows in and out of Parquet with bounded memory: the one way every stage writes and reads its tables.

Files are zstd, at most 2,000 rows a row group (the row group is the unit of read memory), written under a temporary
name and renamed, so a name that exists is a whole file. Every page has a checksum, which every reader checks.
"""

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.errors import Permanent

GROUP_ROWS = 2_000
READ_ROWS = 1_000

Row = dict[str, Any]


class ParquetError(Permanent, ValueError):
    """A table that cannot be written or read as declared; the message names file, row, column and fix."""


@dataclass(frozen=True, slots=True)
class Weight:
    """A bound on rows held at once, beside the one on their number, for rows that may be large: documents."""

    of: Callable[[Mapping[str, Any]], int]
    """Weight of a row: characters, tokens."""
    most: int
    """Rows are parted as soon as they weigh so much together; a heavier row stands alone."""


def required_columns(**types: pa.DataType) -> pa.Schema:
    """Schema of the named columns, none of which may be null."""
    return pa.schema([pa.field(name, kind, nullable=False) for name, kind in types.items()])


def write_parquet(
    rows: Iterable[Mapping[str, Any]],
    path: Path,
    schema: pa.Schema,
    *,
    sorted_by: Sequence[str] = (),
    group_rows: int = GROUP_ROWS,
    weight: Weight | None = None,
) -> int:
    """Stream `rows` into the Parquet file `path`; returns the number of rows.

    Every row must have exactly the columns of `schema`; columns declared `nullable=False` refuse None. With `sorted_by`
    the rows must arrive in that order (see `sorting.py` beside this). At most `group_rows` rows, or as many as `weight`
    allows, make a row group and are in memory at once.
    Raises `ParquetError` naming file, row and column; then, and on any other error, nothing is left at `path`.
    """
    path = Path(path)
    count = 0
    last: tuple[Any, ...] | None = None
    with (
        _renamed_when_whole(path) as temporary,
        pq.ParquetWriter(temporary, schema, compression="zstd", write_page_checksum=True) as writer,
    ):
        for chunk in in_chunks(rows, group_rows, weight):
            for index, row in enumerate(chunk, start=count):
                _check_columns(row, schema, path, index)
                if sorted_by:
                    key = tuple(row[name] for name in sorted_by)
                    if last is not None and key < last:
                        raise ParquetError(
                            f"{path}: row {index} has {tuple(sorted_by)} = {key} after {last}; "
                            f"pass the rows through sort_rows first"
                        )
                    last = key
            writer.write_batch(_batch(chunk, schema, path, count), row_group_size=group_rows)
            count += len(chunk)
    return count


def read_rows(
    path: Path,
    columns: Sequence[str] | None = None,
    *,
    schema: pa.Schema | None = None,
) -> Iterator[Row]:
    """Yield the rows of `path` as dicts, holding one batch in memory; `columns` limits what is read.

    For rows that may be large see `read_groups`.

    With `schema` the file's columns and types must be the declared ones. Raises `ParquetError` for a file that is not
    whole, lacks a column, or has other types.
    """
    path = Path(path)
    with opened(path) as file:
        if schema is not None:
            _check_schema(file.schema_arrow, schema, path)
        _check_present(file.schema_arrow.names, columns, path)
        with damage_named(path):
            for batch in file.iter_batches(batch_size=READ_ROWS, columns=list(columns) if columns else None):
                yield from batch.to_pylist()


def read_groups(path: Path, schema: pa.Schema, only: Sequence[int] | None = None) -> Iterator[pa.Table]:
    """Yield the row groups of `path`, or `only` some, one in memory at a time: no larger than they were written.

    Raises `ParquetError` for a file that is not whole or has other columns or types than `schema`.
    """
    path = Path(path)
    with opened(path) as file:
        _check_schema(file.schema_arrow, schema, path)
        with damage_named(path):
            for index in range(file.num_row_groups) if only is None else only:
                yield file.read_row_group(index)


def read_columns(path: Path, columns: Sequence[str]) -> pa.Table:
    """The named columns of `path` in that order, all rows in memory.

    Raises `ParquetError` for a file that is not whole or lacks a column.
    """
    path = Path(path)
    with opened(path) as file:
        _check_present(file.schema_arrow.names, columns, path)
        with damage_named(path):
            return file.read(columns=list(columns)).select(list(columns))


def count_rows(path: Path) -> int:
    """Number of rows of `path`, from its footer alone. Raises `ParquetError` for a file that is not whole."""
    with opened(Path(path)) as file:
        return file.metadata.num_rows


def group_sizes(path: Path) -> list[int]:
    """Rows of each row group of `path`. Raises `ParquetError` for a file that is not whole."""
    with opened(Path(path)) as file:
        return [file.metadata.row_group(index).num_rows for index in range(file.num_row_groups)]


@contextmanager
def _renamed_when_whole(path: Path) -> Iterator[Path]:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def opened(path: Path) -> Iterator[pq.ParquetFile]:
    try:
        file = pq.ParquetFile(path, page_checksum_verification=True)
    except FileNotFoundError:
        raise ParquetError(f"{path}: no such Parquet file; run the stage that writes it") from None
    except (pa.ArrowException, OSError) as error:
        raise ParquetError(f"{path}: not a whole Parquet file ({error}); delete it and run its stage again") from error
    with file:
        yield file


@contextmanager
def damage_named(path: Path) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise ParquetError(f"{path}: damaged Parquet file ({error}); delete it and run its stage again") from error


def in_chunks(
    rows: Iterable[Mapping[str, Any]], size: int, weight: Weight | None = None
) -> Iterator[list[Mapping[str, Any]]]:
    """Yield lists of at most `size` rows, or of as many as `weight` allows."""
    iterator = iter(rows)
    if weight is None:
        while chunk := list(itertools.islice(iterator, size)):
            yield chunk
        return
    chunk, total = [], 0
    for row in iterator:
        chunk.append(row)
        total += weight.of(row)
        if len(chunk) == size or total >= weight.most:
            yield chunk
            chunk, total = [], 0
    if chunk:
        yield chunk


def _batch(chunk: list[Mapping[str, Any]], schema: pa.Schema, path: Path, start: int) -> pa.RecordBatch:
    arrays = []
    for field in schema:
        values = [row[field.name] for row in chunk]
        # By identity: a value may be an array, which `in` would compare element by element.
        empty = None if field.nullable else next((row for row, value in enumerate(values) if value is None), None)
        if empty is not None:
            raise ParquetError(f"{path}: row {start + empty}, column {field.name!r} is None, which its schema refuses")
        try:
            arrays.append(pa.array(values, type=field.type))
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise ParquetError(
                f"{path}: rows {start} to {start + len(chunk) - 1}, column {field.name!r} is not {field.type}: {error}"
            ) from error
    return pa.record_batch(arrays, schema=schema)


def _check_columns(row: Mapping[str, Any], schema: pa.Schema, path: Path, index: int) -> None:
    if len(row) == len(schema.names) and all(name in row for name in schema.names):
        return
    missing = [name for name in schema.names if name not in row]
    unknown = [name for name in row if name not in schema.names]
    raise ParquetError(f"{path}: row {index} lacks columns {missing} and has undeclared columns {unknown}")


def column_types(schema: pa.Schema) -> dict[str, pa.DataType]:
    """Names and types of columns, by which schemas are compared.

    Not by their text: Parquet calls the items of a list otherwise than Arrow, which holds the types equal.
    """
    return {field.name: field.type for field in schema}


def _check_schema(schema: pa.Schema, wanted: pa.Schema, path: Path) -> None:
    actual, declared = column_types(schema), column_types(wanted)
    if actual != declared:
        differing = sorted(name for name in {*actual, *declared} if actual.get(name) != declared.get(name))
        detail = "; ".join(
            f"{name}: found {actual.get(name, 'nothing')}, wanted {declared.get(name, 'nothing')}" for name in differing
        )
        raise ParquetError(f"{path}: other columns than declared ({detail}); run its stage again")


def _check_present(names: Sequence[str], columns: Sequence[str] | None, path: Path) -> None:
    missing = [name for name in columns or () if name not in names]
    if missing:
        raise ParquetError(f"{path}: no column {missing[0]!r}; it has {', '.join(names)}")
