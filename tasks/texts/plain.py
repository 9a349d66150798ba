"""Readers of plain text: a file is one document, or each of its lines is."""

from collections.abc import Iterator
from io import BufferedReader

from tasks.shared.sources.errors import Record, Reject, SourceError, excerpt
from tasks.shared.sources.foreign import HEAD_BYTES, foreign
from tasks.shared.sources.json_rows import MAX_ROW_BYTES, lines_of
from tasks.shared.sources.places import ENDINGS
from tasks.shared.sources.readers import READERS, Reader

TEXT_ENDINGS = {**ENDINGS, ".txt": "txt"}


def read_txt(stream: BufferedReader, name: str) -> Iterator[Record | Reject]:
    """The whole file as one row with the field `text`; a file that is too large or no text is a `Reject`."""
    data = stream.read(MAX_ROW_BYTES + 1)
    if what := foreign(data[:HEAD_BYTES], "txt"):
        yield Reject(name, 1, "text", excerpt(data[:200]), f"file is {what}")
    elif len(data) > MAX_ROW_BYTES:
        reason = f"file is longer than {MAX_ROW_BYTES} bytes; part it, or set format to 'lines'"
        yield Reject(name, 1, "text", excerpt(data[:200]), reason)
    else:
        yield _decoded(data, name, 1)


def read_lines(stream: BufferedReader, name: str) -> Iterator[Record | Reject]:
    """Each line without its end as a row with the field `text`; blank lines are skipped and do not count as rows.

    Raises `SourceError` where the file is something else than text.
    """
    if what := foreign(stream.peek(HEAD_BYTES), "lines"):
        raise SourceError(f"{name}: is {what}")
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
