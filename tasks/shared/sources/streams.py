"""One buffered reader before every file: whole reads, peeking, unzipping of bounded size, seeking where it is needed.

What file systems open differs: some files have no `readline` of a given length, some cannot seek, some return fewer
bytes than were asked for. Behind `buffered` all are read alike.
"""

import gzip
import hashlib
import io
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

from tasks.shared.sources.errors import SourceError

BLOCK_BYTES = 2**20
MAX_EXPANSION = 200
"""Files that unpack to more times their size are refused; texts and tables unpack to 3 to 30 times."""
FREE_BYTES = 2**26
"""Unpacked bytes that no file is refused for."""
_GZIP_MAGIC = b"\x1f\x8b"


def is_bomb(unpacked: int, packed: int) -> bool:
    """Whether so many bytes out of so few are taken for an attack or an accident."""
    return unpacked > FREE_BYTES and unpacked > MAX_EXPANSION * packed


def bomb(name: str) -> SourceError:
    """The error for a file that unpacks to far more than its size."""
    return SourceError(
        f"{name}: unpacks to more than {MAX_EXPANSION} times its size; if that is meant, unpack it and give the result"
    )


def buffered(stream: BinaryIO, *, seekable: bool = True) -> io.BufferedReader:
    """A reader of any open file; `seekable` says whether its file can truly seek."""
    return stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(_Raw(stream, seekable), BLOCK_BYTES)


@contextmanager
def unzipped(stream: io.BufferedReader, name: str) -> Iterator[io.BufferedReader]:
    """The content of a gzip file, or the stream itself where it is none.

    Raises `SourceError` where far more comes out than went in.
    """
    if not stream.peek(2).startswith(_GZIP_MAGIC):
        yield stream
        return
    yield io.BufferedReader(_Raw(_Unpacked(_Packed(stream), name), seekable=False), BLOCK_BYTES)  # type: ignore[arg-type]


@contextmanager
def on_disk(stream: io.BufferedReader) -> Iterator[BinaryIO]:
    """The stream itself where it can seek, else a temporary copy of it that can."""
    if stream.seekable():
        yield stream
        return
    with tempfile.TemporaryFile() as copy:
        shutil.copyfileobj(stream, copy, BLOCK_BYTES)
        copy.seek(0)
        yield copy  # type: ignore[misc]


class Hashed:
    """A file whose bytes are hashed as they are read, so that what came over a network need not come again for it."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """The next bytes."""
        data = self._file.read(size)
        self._sha256.update(data)
        return data

    def digest(self) -> str:
        """SHA-256 of the whole file, whose rest is read."""
        while self.read(BLOCK_BYTES):
            pass
        return self._sha256.hexdigest()


class _Raw(io.RawIOBase):
    """Fills every read up to the end of the file."""

    def __init__(self, file: BinaryIO, seekable: bool) -> None:
        self._file = file
        self._seekable = seekable

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return self._seekable

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        if not self._seekable:
            raise io.UnsupportedOperation("seek")
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        if not self._seekable:
            raise io.UnsupportedOperation("tell")
        return self._file.tell()

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        filled = 0
        while filled < len(buffer) and (part := self._file.read(len(buffer) - filled)):
            buffer[filled : filled + len(part)] = part
            filled += len(part)
        return filled


class _Packed:
    """Counts what is read of a gzip file."""

    def __init__(self, file: io.BufferedReader) -> None:
        self._file = file
        self.count = 0

    def read(self, size: int = -1) -> bytes:
        data = self._file.read(size)
        self.count += len(data)
        return data


class _Unpacked(io.RawIOBase):
    """What a gzip file holds, weighed against what it took to hold it."""

    def __init__(self, packed: _Packed, name: str) -> None:
        self._packed, self._name = packed, name
        self._plain = gzip.GzipFile(fileobj=packed)  # type: ignore[arg-type]
        self._count = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        read = self._plain.readinto(buffer)
        self._count += read
        if is_bomb(self._count, self._packed.count):
            raise bomb(self._name)
        return read
