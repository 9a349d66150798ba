"""Readers of plain text: a file is one document, or each of its lines is."""

from collections.abc import Iterator
from typing import BinaryIO

from tasks.shared.sources.errors import Record, Reject, excerpt
from tasks.shared.sources.files import ENDINGS
from tasks.shared.sources.readers import MAX_LINE_BYTES, READERS, Reader, lines_of

TEXT_ENDINGS = {**ENDINGS, ".txt": "txt"}


def read_txt(stream: BinaryIO, name: str) -> Iterator[Record | Reject]:
    """The whole file as one row with the field `text`; a file too large to hold is a `Reject`."""
    data = stream.read(MAX_LINE_BYTES + 1)
    if len(data) > MAX_LINE_BYTES:
        reason = f"file is longer than {MAX_LINE_BYTES} bytes; part it, or set format to 'lines'"
        yield Reject(name, 1, "text", excerpt(data[:200]), reason)
    else:
        yield _decoded(data, name, 1)


def read_lines(stream: BinaryIO, name: str) -> Iterator[Record | Reject]:
    """Each line without its end as a row with the field `text`; blank lines are skipped and do not count as rows."""
    for number, line in lines_of(stream, name):
        if isinstance(line, Reject):
            yield line
        elif line.strip():
            yield _decoded(line.rstrip(b"\r\n"), name, number)


TEXT_READERS: dict[str, Reader] = {**READERS, "txt": read_txt, "lines": read_lines}


def _decoded(data: bytes, name: str, number: int) -> Record | Reject:
    try:
        return Record(name, number, {"text": data.decode("utf-8-sig" if number == 1 else "utf-8")})
    except UnicodeDecodeError as error:
        value = excerpt(data[:200].decode("utf-8", "backslashreplace"))
        return Reject(name, number, "text", value, f"is not UTF-8 at byte {error.start}: {error.reason}")
