"""Rows of Parquet files, weighed before they become Python's objects: neither a bomb nor one bad cell costs more.

Small files may hold huge rows, because a value that comes again is stored once. Columns of texts are read as
dictionaries, in which it is held once too; what a row would weigh is counted, and one that is too heavy is set aside.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tasks.shared.sources.errors import Record, Reject, SourceError
from tasks.shared.sources.json_rows import MAX_ROW_BYTES
from tasks.shared.sources.streams import BLOCK_BYTES, bomb, is_bomb
from tasks.shared.sources.values import Unreadable

_MOST_ROWS = 500
_OBJECT_BYTES = 40
"""Memory of an item of a list as an object of Python's."""
_NO_OBJECT = (ValueError, ArithmeticError, LookupError, TypeError, pa.ArrowException)
"""Errors of values that Python has no object for: broken UTF-8, years beyond 9999, unknown time zones."""


def parquet_rows(file: BinaryIO, name: str) -> Iterator[Record | Reject]:
    """The rows of a Parquet file that can seek; lines are row numbers from 1.

    Raises `SourceError` where the file is damaged, names a column twice, or unpacks to far more than its size.
    """
    number = 0
    try:
        metadata = pq.read_metadata(file)
        _check_names(metadata.schema.to_arrow_schema(), name)
        leaves = [metadata.schema.column(index) for index in range(metadata.num_columns)]
        _check_sizes(metadata, leaves, name)
        texts = [leaf.path for leaf in leaves if leaf.physical_type == "BYTE_ARRAY"]
        file.seek(0)
        options = {"buffer_size": BLOCK_BYTES, "read_dictionary": texts, "page_checksum_verification": True}
        with pq.ParquetFile(file, metadata=metadata, **options) as parquet:
            for batch in parquet.iter_batches(batch_size=_batch_rows(metadata)):
                yield from _rows(_as_spelled(batch), name, number + 1)
                number += batch.num_rows
    except OSError as error:
        # Arrow reports a damaged page as a bare OSError; the operating system's and the network's have a number.
        if error.errno is not None:
            raise
        raise SourceError(f"{name}: damaged after row {number} ({error}); fetch it again") from error


def _check_names(fields: Iterable[pa.Field], name: str, where: str = "") -> None:
    """Refuse columns, or fields of one structure, that share a name: of a row as a dict only the last would be left."""
    fields = list(fields)
    for field, count in Counter(field.name for field in fields).items():
        if count > 1:
            raise SourceError(f"{name}: {count} columns are called {where + field!r}; rename or drop all but one")
    for field in fields:
        if field.type.num_fields:
            inner = [field.type.field(index) for index in range(field.type.num_fields)]
            _check_names(inner, name, f"{where}{field.name}.")


def _check_sizes(metadata: pq.FileMetaData, leaves: list[pq.ColumnSchema], name: str) -> None:
    """Refuse columns that a reader would have to unpack to far more than the file holds of them, and files of such."""
    values = packed = 0
    for group in range(metadata.num_row_groups):
        for index, leaf in enumerate(leaves):
            column = metadata.row_group(group).column(index)
            values += column.num_values
            packed += column.total_compressed_size
            # Runs of equal items take no room in the file at all; a whole list of them is unpacked at once.
            items = 8 * column.num_values if leaf.max_repetition_level else 0
            if is_bomb(max(column.total_uncompressed_size, items), column.total_compressed_size):
                raise bomb(f"{name}, column {leaf.path}")
    if is_bomb(8 * values, packed):
        raise bomb(name)


def _batch_rows(metadata: pq.FileMetaData) -> int:
    """Rows to read at once, by the mean size of rows in the group with the largest."""
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    sizes = [
        sum(max(column.total_uncompressed_size, 8 * column.num_values) for column in columns) / max(group.num_rows, 1)
        for group in groups
        for columns in [[group.column(index) for index in range(group.num_columns)]]
    ]
    return max(1, min(_MOST_ROWS, int(MAX_ROW_BYTES / max([*sizes, 1]))))


def _as_spelled(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Floats of 32 and 16 bits as the shortest number that stands for them: 0.1, not 0.10000000149011612."""
    columns = [
        column.cast(pa.string()).cast(pa.float64()) if column.type in (pa.float32(), pa.float16()) else column
        for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _rows(batch: pa.RecordBatch, name: str, first: int) -> Iterator[Record | Reject]:
    """Rows one after another; a batch that is too heavy or cannot be read as a whole is halved until it can."""
    weight = sum(_weight(column) for column in batch.columns)
    if weight <= MAX_ROW_BYTES:
        try:
            yield from [Record(name, first + index, row) for index, row in enumerate(_plain(batch).to_pylist())]
            return
        except _NO_OBJECT:
            if batch.num_rows == 1:
                yield Record(name, first, {key: _cell(batch[key]) for key in batch.schema.names})
                return
    elif batch.num_rows == 1:
        yield Reject(name, first, "", "", f"row takes {weight} bytes, more than {MAX_ROW_BYTES}")
        return
    half = batch.num_rows // 2
    yield from _rows(batch.slice(0, half), name, first)
    yield from _rows(batch.slice(half), name, first + half)


def _plain(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Columns of texts as such: five times as fast to make objects of."""
    columns = [
        column.dictionary_decode() if pa.types.is_dictionary(column.type) else column for column in batch.columns
    ]
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _weight(array: pa.Array) -> int:
    """Bytes of the values of an array if each were held on its own."""
    kind = array.type
    if isinstance(array, pa.ExtensionArray):
        return _weight(array.storage)
    if pa.types.is_dictionary(kind):
        lengths = pc.binary_length(array.dictionary).take(array.indices)
        return (pc.sum(lengths).as_py() or 0) + len(array)
    if pa.types.is_struct(kind):
        return sum(_weight(field) for field in array.flatten())
    if pa.types.is_map(kind):
        start, stop = array.offsets[0].as_py(), array.offsets[len(array)].as_py()
        inner = [part.slice(start, stop - start) for part in (array.keys, array.items)]
        return sum(map(_weight, inner)) + _OBJECT_BYTES * (stop - start)
    if pa.types.is_nested(kind):
        items = array.flatten()
        return _weight(items) + _OBJECT_BYTES * len(items)
    return array.nbytes


def _cell(column: pa.Array) -> Any:
    try:
        return column[0].as_py()
    except UnicodeDecodeError as error:
        return Unreadable(f"is not UTF-8 at byte {error.start}: {error.reason}")
    except _NO_OBJECT as error:
        return Unreadable(f"is a {column.type} that cannot be read: {error}")
