"""Streaming readers: a file of rows in, one `Record` or `Reject` per row out, in bounded memory.

A row that cannot be read is a `Reject` and the next row is read all the same. A file that is cut off (gzip, Parquet, a
JSON list) or that is something else than its name says raises `SourceError`: half of a file must not pass for the
whole. A line that is cut off at the end of a JSONL file cannot be told from a damaged one and is a `Reject` that says
so.
"""

import gzip
import io
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa

from tasks.shared.sources.csv_rows import read_csv, read_tsv
from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.foreign import HEAD_BYTES, foreign
from tasks.shared.sources.json_rows import Rows, read_json, read_jsonl
from tasks.shared.sources.parquet_rows import parquet_rows
from tasks.shared.sources.streams import buffered, on_disk, unzipped

Reader = Callable[[io.BufferedReader, str], Rows]


def read_file(stream: BinaryIO, name: str, format: str, readers: Mapping[str, Reader] | None = None) -> Rows:
    """The rows of an open file in `format` (jsonl, json, csv, tsv, parquet); `name` goes into rejects and errors.

    `readers` knows other formats, and what to do with a file of theirs that is something else.

    Raises `SourceError` where the file as a whole is damaged or is not in that format.
    """
    with _whole(name), unzipped(buffered(stream), name) as plain:
        if format in READERS and (what := foreign(plain.peek(HEAD_BYTES), format)):
            raise SourceError(f"{name}: is {what}")
        yield from (readers or READERS)[format](plain, name)


def read_parquet(stream: io.BufferedReader, name: str) -> Rows:
    """The rows of a Parquet file; lines are row numbers from 1."""
    with on_disk(stream) as file:
        yield from parquet_rows(file, name)


READERS: dict[str, Reader] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "tsv": read_tsv,
    "parquet": read_parquet,
}


@contextmanager
def _whole(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{name}: the gzip file is damaged or cut off ({error}); fetch it again") from error
    except pa.ArrowException as error:
        raise SourceError(f"{name}: not a whole Parquet file ({error}); fetch it again") from error
    except RecursionError as error:
        raise SourceError(f"{name}: its columns are nested too deeply ({error}); write it flatter") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: a name in it is not UTF-8 ({error.reason}); convert the file") from error
