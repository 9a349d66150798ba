"""Rows of comma- and tab-separated files with the line each began on; one that cannot be read costs no other."""

import csv
from collections import deque
from collections.abc import Iterator
from io import BufferedReader

from tasks.shared.sources.errors import Record, Reject, SourceError, excerpt
from tasks.shared.sources.json_rows import skip_line

# The longest row, quotes and line breaks included. An unclosed quote would otherwise swallow the rest of the file.
MAX_ROW_CHARS = 2**20

OTHER = {
    "\t": "if its columns are separated by tabs, name it .tsv, or set format to tsv",
    ";": "if its columns are separated by semicolons, write it with commas",
    ",": "if its columns are separated by commas, name it .csv, or set format to csv",
}
"""Signs in the header of a file of one column that tell another layout."""


class _Lines:
    """Lines with the number of each, and a way to hand the later lines of a failed row back."""

    def __init__(self, stream: BufferedReader) -> None:
        self._stream = stream
        self._again: deque[bytes] = deque()
        self._row: list[bytes] = []
        self._chars = 0
        self.number = 0
        self.bad_encoding = ""

    def begin_row(self) -> None:
        """Forget the lines of the row before."""
        self._row = []
        self._chars = 0
        self.bad_encoding = ""

    def first(self) -> bytes:
        """First line of the row."""
        return self._row[0] if self._row else b""

    def keep_first(self) -> None:
        """Give up only the first line of the failed row; the rest will be read again."""
        self._again.extendleft(reversed(self._row[1:]))
        self.number -= len(self._row) - 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        again = bool(self._again)
        line = self._again.popleft() if again else self._stream.readline(MAX_ROW_CHARS)
        if not line:
            raise StopIteration
        is_cut = len(line) == MAX_ROW_CHARS and not line.endswith(b"\n")
        if is_cut and not again:
            skip_line(self._stream)
        self.number += 1
        self._row.append(line)
        self._chars += len(line)
        if is_cut or self._chars > MAX_ROW_CHARS:
            raise csv.Error(f"row is longer than {MAX_ROW_CHARS} characters; is a quote left open?")
        try:
            return line.decode("utf-8-sig" if self.number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            self.bad_encoding = error.reason
            return line.decode("utf-8", "replace")


def read_csv(stream: BufferedReader, name: str, delimiter: str = ",") -> Iterator[Record | Reject]:
    """The rows of a file with a header line and quotes as in CSV; empty lines are skipped.

    Raises `SourceError` where there is no usable header.
    """
    csv.field_size_limit(MAX_ROW_CHARS)
    lines = _Lines(stream)
    header = _header(lines, name, delimiter)
    reader = csv.reader(lines, strict=True, delimiter=delimiter)
    while True:
        lines.begin_row()
        start = lines.number + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            value = excerpt(lines.first().decode("utf-8", "backslashreplace"))
            lines.keep_first()
            reader = csv.reader(lines, strict=True, delimiter=delimiter)
            yield Reject(name, start, "", value, f"malformed CSV: {error}")
            continue
        if not cells:
            continue
        if lines.bad_encoding:
            yield Reject(name, start, "", excerpt(delimiter.join(cells)), f"is not UTF-8: {lines.bad_encoding}")
        elif len(cells) != len(header):
            reason = f"has {len(cells)} cells where the header has {len(header)}"
            yield Reject(name, start, "", excerpt(delimiter.join(cells)), reason)
        else:
            yield Record(name, start, dict(zip(header, cells, strict=True)))


def read_tsv(stream: BufferedReader, name: str) -> Iterator[Record | Reject]:
    """The rows of a tab-separated file, as `read_csv` gives them."""
    return read_csv(stream, name, "\t")


def _header(lines: _Lines, name: str, delimiter: str) -> list[str]:
    try:
        header = next(csv.reader(lines, strict=True, delimiter=delimiter), [])
    except csv.Error as error:
        raise SourceError(f"{name}, line 1: the header cannot be read ({error})") from error
    names = [cell.strip() for cell in header]
    if not any(names) or len(set(names)) != len(names) or lines.bad_encoding:
        raise SourceError(f"{name}, line 1: a header with one name per column is needed, found {names}")
    if len(header) == 1 and (other := next((sign for sign in OTHER if sign != delimiter and sign in header[0]), "")):
        raise SourceError(f"{name}, line 1: the header is the one name {names[0]!r}; {OTHER[other]}")
    return names
