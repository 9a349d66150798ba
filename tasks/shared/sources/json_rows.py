"""JSON rows, one a line or in lists: a key that stands twice is noticed, and nothing after a list is passed over."""

import codecs
import io
import json
from collections.abc import Iterator
from decimal import Decimal

from tasks.shared.sources.errors import Record, Reject, SourceError, excerpt

MAX_ROW_BYTES = 16 * 2**20
"""The largest row, in every format but CSV; larger ones are set aside unread."""
_READ_CHARS = 2**20
_AFTER_NUMBER = tuple(" \t\r\n,]")
_EXACT_DIGITS = 15
"""Every number of so many digits is a float of its own."""
_NOT_LINES = {
    b"[": "is a JSON list and not JSON lines; name it .json, or set format to json",
    b"{": "holds objects over several lines; write each on a line of its own, e.g. with `jq -c .`",
}
"""First lines that tell another layout."""

Rows = Iterator[Record | Reject]


def read_jsonl(stream: io.BufferedReader, name: str) -> Rows:
    """One JSON object per line; blank lines are skipped and do not count as rows.

    Raises `SourceError` where the first line shows that objects do not stand on one line each.
    """
    parser = _Parser()
    for number, line in lines_of(stream, name):
        if isinstance(line, Reject):
            yield line
        elif number == 1 and line.strip() in _NOT_LINES:
            raise SourceError(f"{name}: {_NOT_LINES[line.strip()]}")
        elif line.strip():
            yield _parsed(parser, line, name, number)


def lines_of(stream: io.BufferedReader, name: str) -> Iterator[tuple[int, bytes | Reject]]:
    """Lines with their numbers from 1, without a byte order mark; one that is too long to hold is a `Reject`."""
    number = 0
    while line := stream.readline(MAX_ROW_BYTES):
        number += 1
        if len(line) == MAX_ROW_BYTES and not line.endswith(b"\n"):
            skip_line(stream)
            reason = f"line is longer than {MAX_ROW_BYTES} bytes"
            yield number, Reject(name, number, "", excerpt(line[:200]), reason)
        else:
            yield number, line.removeprefix(codecs.BOM_UTF8) if number == 1 else line


def skip_line(stream: io.BufferedReader) -> None:
    """Go on behind the next end of a line."""
    while (rest := stream.readline(MAX_ROW_BYTES)) and not rest.endswith(b"\n"):
        pass


def read_json(stream: io.BufferedReader, name: str) -> Rows:
    """JSON lists of objects, read object by object; or JSON lines under the name `.json`."""
    if stream.peek(1).removeprefix(codecs.BOM_UTF8).lstrip().startswith(b"["):
        # A byte that is not UTF-8 becomes half of a surrogate pair, so that it costs one row and not the file.
        yield from _JsonLists(io.TextIOWrapper(stream, "utf-8-sig", "surrogateescape", newline=""), name).rows()
    else:
        yield from read_jsonl(stream, name)


class _Parser(json.JSONDecoder):
    """Python's decoder, which keeps the last of several equal keys and cuts long numbers; this one does neither."""

    def __init__(self) -> None:
        self.twice = ""
        """A key that stood more than once in an object that was read."""
        super().__init__(object_pairs_hook=self._object, parse_float=_number)

    def _object(self, pairs: list[tuple[str, object]]) -> dict[str, object]:
        row = dict(pairs)
        if len(row) < len(pairs):
            keys = [key for key, _ in pairs]
            self.twice = next(key for key in row if keys.count(key) > 1)
        return row

    def item(self, value: object, name: str, line: int) -> Record | Reject:
        """The row that a value just parsed is; forgets about keys that stood twice."""
        twice, self.twice = self.twice, ""
        if twice:
            return Reject(name, line, excerpt(twice), excerpt(value), "stands twice in one object")
        if not isinstance(value, dict):
            return Reject(name, line, "", excerpt(value), f"is a {type(value).__name__}, not an object")
        return Record(name, line, value)


def _number(text: str) -> float | Decimal:
    return float(text) if len(text) <= _EXACT_DIGITS else Decimal(text)


class _JsonLists:
    """Takes the objects of JSON lists one at a time, holding little more than one of them."""

    def __init__(self, stream: io.TextIOBase, name: str) -> None:
        self._stream = stream
        self._name = name
        self._text = ""
        self._position = 0
        self._line = 1
        self._ended = False
        self._parser = _Parser()

    def rows(self) -> Rows:
        """Yield the items of all lists with the line on which each begins; one that is no object is a reject."""
        while found := self._peek():
            if found != "[":
                raise SourceError(
                    f"{self._name}, line {self._line}: {found!r} follows the JSON list; part the file, or convert it "
                    "to JSON lines"
                )
            self._expect("[")
            if self._peek() == "]":
                self._expect("]")
                continue
            yield self._item()
            while self._peek() == ",":
                self._expect(",")
                yield self._item()
            self._expect("]")

    def _item(self) -> Record | Reject:
        self._peek()
        size = _READ_CHARS
        while True:
            try:
                value, end = self._parser.raw_decode(self._text, self._position)
            except (ValueError, RecursionError) as error:
                if self._ended or len(self._text) - self._position > MAX_ROW_BYTES:
                    raise self._damaged(getattr(error, "msg", str(error))) from error
            else:
                # A number at the end of the buffer may go on in the next block.
                closed = isinstance(value, str | dict | list) or self._text[end : end + 1] in _AFTER_NUMBER
                if self._ended or closed:
                    return self._taken(value, end)
            self._more(size)
            size *= 2

    def _taken(self, value: object, end: int) -> Record | Reject:
        line, text = self._line, self._text[self._position : end]
        self._advance(end)
        item = self._parser.item(value, self._name, line)
        try:
            text.encode()
        except UnicodeEncodeError:
            return Reject(self._name, line, "", excerpt(text), "is not UTF-8")
        return item

    def _peek(self) -> str:
        while True:
            start = self._position
            while start < len(self._text) and self._text[start] in " \t\r\n":
                start += 1
            self._advance(start)
            if self._position < len(self._text) or self._ended:
                return self._text[self._position : self._position + 1]
            self._more(_READ_CHARS)

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


def _parsed(parser: _Parser, line: bytes, name: str, number: int) -> Record | Reject:
    try:
        return parser.item(parser.decode(line.decode("utf-8")), name, number)
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8: {error.reason}"
    except (ValueError, RecursionError) as error:
        cut = "" if line.endswith(b"\n") else " (last line, without an end of line: the file may be cut off)"
        reason = f"malformed JSON: {getattr(error, 'msg', str(error))}{cut}"
    parser.twice = ""
    return Reject(name, number, "", excerpt(line.decode("utf-8", "backslashreplace")), reason)
