"""Streaming readers: a file of rows in, one `Record` or `Reject` per row out, in bounded memory.

A row that cannot be read is a `Reject` and the next row is read all the same. A file that is cut off (gzip, Parquet, a
JSON list) raises `SourceError`: half of a file must not pass for the whole. A line that is cut off at the end of
a JSONL file cannot be told from a damaged one and is a `Reject` that says so.
"""

import codecs
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.shared.sources.csv_rows import read_csv
from tasks.shared.sources.errors import Record, Reject, SourceError, excerpt

MAX_LINE_BYTES = 16 * 2**20
_READ_BYTES = 2**20
_PARQUET_ROWS = 500
_AFTER_NUMBER = tuple(" \t\r\n,]")
_GZIP_MAGIC = b"\x1f\x8b"

Rows = Iterator[Record | Reject]
Reader = Callable[[BinaryIO, str], Rows]


def read_file(stream: BinaryIO, name: str, format: str, readers: Mapping[str, Reader] | None = None) -> Rows:
    """The rows of an open, seekable file in `format` (jsonl, json, csv, parquet); `name` goes into rejects and errors.

    `readers` knows other formats.

    Raises `SourceError` where the file as a whole is damaged or is not in that format.
    """
    with _whole(name), _unzipped(stream) as plain:
        yield from (readers or READERS)[format](plain, name)


def read_jsonl(stream: BinaryIO, name: str) -> Rows:
    """One JSON object per line; blank lines are skipped and do not count as rows."""
    for number, line in lines_of(stream, name):
        if isinstance(line, Reject):
            yield line
        elif line.strip():
            yield _parsed(line, name, number, line.endswith(b"\n"))


def lines_of(stream: BinaryIO, name: str) -> Iterator[tuple[int, bytes | Reject]]:
    """Lines with their numbers from 1, without a byte order mark; one that is too long to hold is a `Reject`."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES):
        number += 1
        if len(line) == MAX_LINE_BYTES and not line.endswith(b"\n"):
            _skip_line(stream)
            reason = f"line is longer than {MAX_LINE_BYTES} bytes"
            yield number, Reject(name, number, "", excerpt(line[:200]), reason)
        else:
            yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line


def read_json(stream: BinaryIO, name: str) -> Rows:
    """A JSON list of objects, read object by object; or JSON lines under the name `.json`."""
    head = stream.read(4096)
    stream.seek(0)
    if not head.removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
        yield from read_jsonl(stream, name)
        return
    yield from _JsonList(io.TextIOWrapper(stream, encoding="utf-8-sig"), name).rows()


def read_parquet(stream: BinaryIO, name: str) -> Rows:
    """The rows of a Parquet file; lines are row numbers from 1."""
    number = 0
    try:
        with pq.ParquetFile(stream) as file:
            for batch in file.iter_batches(batch_size=_PARQUET_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield Record(name, number, row)
    except OSError as error:
        # Arrow reports a damaged page as a bare OSError; the operating system's and the network's have a number.
        if error.errno is not None:
            raise
        raise SourceError(f"{name}: damaged after row {number} ({error}); fetch it again") from error


READERS: dict[str, Reader] = {
    "jsonl": read_jsonl,
    "json": read_json,
    "csv": read_csv,
    "parquet": read_parquet,
}


class _JsonList:
    """Takes the objects of a JSON list one at a time, holding little more than one of them."""

    def __init__(self, stream: io.TextIOBase, name: str) -> None:
        self._stream = stream
        self._name = name
        self._text = ""
        self._position = 0
        self._line = 1
        self._ended = False
        self._decoder = json.JSONDecoder()

    def rows(self) -> Rows:
        """Yield the items of the list with the line on which each begins; one that is no object is a reject."""
        self._expect("[")
        if self._peek() == "]":
            return
        while True:
            line, value = self._item()
            if isinstance(value, dict):
                yield Record(self._name, line, value)
            else:
                yield Reject(self._name, line, "", excerpt(value), f"is a {type(value).__name__}, not an object")
            if self._peek() == "]":
                return
            self._expect(",")

    def _item(self) -> tuple[int, object]:
        self._peek()
        size = _READ_BYTES
        while True:
            try:
                value, end = self._decoder.raw_decode(self._text, self._position)
            except (ValueError, RecursionError) as error:
                if self._ended or len(self._text) - self._position > MAX_LINE_BYTES:
                    raise self._damaged(getattr(error, "msg", str(error))) from error
            else:
                # A number at the end of the buffer may go on in the next block.
                closed = isinstance(value, str | dict | list) or self._text[end : end + 1] in _AFTER_NUMBER
                if self._ended or closed:
                    line = self._line
                    self._advance(end)
                    return line, value
            self._more(size)
            size *= 2

    def _peek(self) -> str:
        while True:
            start = self._position
            while start < len(self._text) and self._text[start] in " \t\r\n":
                start += 1
            self._advance(start)
            if self._position < len(self._text) or self._ended:
                return self._text[self._position : self._position + 1]
            self._more(_READ_BYTES)

    def _expect(self, character: str) -> None:
        if (found := self._peek()) != character:
            raise self._damaged(
                f"expected {character!r}, found {found!r}" if found else "the file ends inside the list"
            )
        self._advance(self._position + 1)

    def _advance(self, position: int) -> None:
        self._line += self._text.count("\n", self._position, position)
        self._position = position

    def _more(self, size: int) -> None:
        block = self._stream.read(size)
        self._ended = not block
        self._text = self._text[self._position :] + block
        self._position = 0

    def _damaged(self, detail: str) -> SourceError:
        return SourceError(
            f"{self._name}, line {self._line}: the JSON list is damaged or cut off ({detail}); "
            "fetch the file again, or convert it to JSON lines, where single bad rows can be set aside"
        )


def _parsed(line: bytes, name: str, number: int, ended: bool) -> Record | Reject:
    try:
        row = json.loads(line.decode("utf-8"))
    except UnicodeDecodeError as error:
        return Reject(
            name,
            number,
            "",
            excerpt(line.decode("utf-8", "backslashreplace")),
            f"is not UTF-8: {error.reason}",
        )
    except (ValueError, RecursionError) as error:
        cut = "" if ended else " (last line, without an end of line: the file may be cut off)"
        reason = f"malformed JSON: {getattr(error, 'msg', str(error))}{cut}"
        return Reject(name, number, "", excerpt(line.decode("utf-8")), reason)
    if not isinstance(row, dict):
        return Reject(name, number, "", excerpt(row), f"is a {type(row).__name__}, not an object")
    return Record(name, number, row)


def _skip_line(stream: BinaryIO) -> None:
    while (rest := stream.readline(MAX_LINE_BYTES)) and not rest.endswith(b"\n"):
        pass


@contextmanager
def _unzipped(stream: BinaryIO) -> Iterator[BinaryIO]:
    magic = stream.read(2)
    stream.seek(0)
    if magic != _GZIP_MAGIC:
        yield stream
        return
    with gzip.GzipFile(fileobj=stream) as plain:
        yield plain  # type: ignore[misc]


@contextmanager
def _whole(name: str) -> Iterator[None]:
    try:
        yield
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise SourceError(f"{name}: the gzip file is damaged or cut off ({error}); fetch it again") from error
    except pa.ArrowException as error:
        raise SourceError(f"{name}: not a whole Parquet file ({error}); fetch it again") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: not UTF-8 at byte {error.start} ({error.reason}); convert it to UTF-8") from error
