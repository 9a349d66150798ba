"""What people really have: odd questions are read, or rejected with row and reason, and cost no other row."""

import gzip
import json
import struct
from datetime import datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.questions.config import QuestionsConfig
from tasks.questions.fields import FieldMapping
from tasks.questions.load import build_questions
from tasks.questions.schema import QUESTIONS_FILE
from tasks.questions.sources import resolve
from tasks.shared.tables.parquet import read_rows
from tests.support.question_files import CSV, ONE, Rejected, outcome, parquet

READ = {
    "Windows line ends": ("x.jsonl", ONE.replace(b"\n", b"\r\n"), ("one?", "1")),
    "a byte order mark": ("x.jsonl", b"\xef\xbb\xbf" + ONE, ("one?", "1")),
    "a byte order mark in CSV": ("x.csv", b"\xef\xbb\xbf" + CSV, ("one?", "1")),
    "CSV of Windows": ("x.csv", CSV.replace(b"\n", b"\r\n"), ("one?", "1")),
    "quotes over lines": ("x.csv", b'q,a\n"two\nlines, ""said""",1\n', ('two\nlines, "said"', "1")),
    "an index without a name": ("x.csv", b",q,a\n0,one?,1\n", ("one?", "1")),
    "tabs": ("x.tsv", b'q\ta\none, "two"?\t1\n', ('one, "two"?', "1")),
    "spaces around names": ("x.csv", b" q , a \none?,1\n", ("one?", "1")),
    "JSON lines named json": ("x.json", ONE, ("one?", "1")),
    "gzip without its ending": ("x.jsonl", gzip.compress(ONE), ("one?", "1")),
    "gzip's ending without gzip": ("x.jsonl.gz", ONE, ("one?", "1")),
    "endings in capitals": ("X.JSONL.GZ", gzip.compress(ONE), ("one?", "1")),
    "zeros behind gzip": ("x.jsonl.gz", gzip.compress(ONE) + b"\0" * 99, ("one?", "1")),
    "gzipped Parquet": ("x.parquet.gz", gzip.compress(parquet(a=["1"])), ("one?", "1")),
    "an integer of 30 digits": ("x.jsonl", b'{"q": "one?", "a": ' + b"9" * 30 + b"}", ("one?", "9" * 30)),
    "an exponent that would fill memory": (
        "x.jsonl",
        b'{"q": "one?", "a": 1.0000000000000000e9999999}',
        ("one?", "1.0000000000000000E+9999999"),
    ),
    "more digits than a float has": (
        "x.jsonl",
        b'{"q": "one?", "a": 3.14159265358979323846}',
        ("one?", "3.14159265358979323846"),
    ),
    "NaN in a field that is not needed": ("x.jsonl", b'{"q": "one?", "a": "1", "m": NaN}', ("one?", "1")),
    "columns of bytes": ("x.parquet", parquet(q=[b"one?"], a=[b"1"]), ("one?", "1")),
    "bytes of fixed length": ("x.parquet", parquet(a=pa.array([b"12"], pa.binary(2))), ("one?", "12")),
    "large and viewed strings": (
        "x.parquet",
        parquet(q=pa.array(["one?"], pa.large_string()), a=pa.array(["1"], pa.string_view())),
        ("one?", "1"),
    ),
    "categories": (
        "x.parquet",
        parquet(q=pa.array(["one?"]).dictionary_encode(), a=pa.array([1]).dictionary_encode()),
        ("one?", "1"),
    ),
    "decimals": ("x.parquet", parquet(a=[Decimal("1.50")]), ("one?", "1.50")),
    "floats of 32 bits": ("x.parquet", parquet(a=pa.array([0.1], pa.float32())), ("one?", "0.1")),
    "floats of 16 bits": ("x.parquet", parquet(a=pa.array([0.5], pa.float16())), ("one?", "0.5")),
    "nanoseconds beside it": ("x.parquet", parquet(a=["1"], m=pa.array([1], pa.timestamp("ns"))), ("one?", "1")),
    "a year beyond 9999 beside it": (
        "x.parquet",
        parquet(a=["1"], m=pa.array([2**59], pa.timestamp("us"))),
        ("one?", "1"),
    ),
}


@pytest.mark.parametrize("name", READ)
def test_what_is_odd_but_whole_is_read(name: str, tmp_path: Path) -> None:
    file, data, row = READ[name]
    assert outcome(tmp_path, file, data) == ({row}, [])


PLACEHOLDERS = (
    "nan NaN -nan None none N/A n/a NA <NA> #N/A null NULL TBD tbd. - -- – ? ... (none) [null] 'nan' #DIV/0! "
    "#ERROR! \\N \u200b \u2060\u200d $$ <null> null; &nbsp; -1.#IND [removed] Not_Available"
)
ANSWERS = "Na -1 0 no < > () ∅ x-y nano undefined todo NAND".split()


@pytest.mark.parametrize("text", PLACEHOLDERS.split())
def test_a_placeholder_is_no_answer_and_no_question(text: str, tmp_path: Path) -> None:
    text = text.replace("_", " ")
    data = CSV + f"two?,{text}\n{text},2\n".encode()
    reason = "is a placeholder for a missing value"
    assert outcome(tmp_path, "x.csv", data) == ({("one?", "1")}, [(3, "a", reason), (4, "q", reason)])


@pytest.mark.parametrize("text", ANSWERS)
def test_what_only_looks_like_a_placeholder_is_an_answer(text: str, tmp_path: Path) -> None:
    assert outcome(tmp_path, "x.csv", CSV + f"two?,{text}\n".encode()) == ({("one?", "1"), ("two?", text)}, [])


LINES: dict[str, tuple[bytes, str, str]] = {
    "Latin-1": ('{"q": "é", "a": "2"}'.encode("latin-1"), "", "is not UTF-8"),
    "surrogates in bytes": (b'{"q": "\xed\xa0\x80", "a": "2"}', "", "is not UTF-8"),
    "overlong bytes": (b'{"q": "\xc0\xaf", "a": "2"}', "", "is not UTF-8"),
    "half a surrogate pair": (b'{"q": "\\ud800", "a": "2"}', "q", "half of a surrogate pair"),
    "half a pair in the answer": (b'{"q": "two", "a": "\\udfff"}', "a", "half of a surrogate pair"),
    "a character lost before": ('{"q": "5 \ufffd 3?", "a": "2"}'.encode(), "q", "holds U+FFFD"),
    "a character lost in the answer": ('{"q": "two", "a": "\ufffd"}'.encode(), "a", "holds U+FFFD"),
    "NUL": (b'{"q": "a\\u0000b", "a": "2"}', "q", "NUL character"),
    "NUL unescaped": (b'{"q": "a\0b", "a": "2"}', "", "malformed JSON"),
    "a second byte order mark": (b'\xef\xbb\xbf{"q": "two", "a": "2"}', "", "malformed JSON"),
    "a key twice": (b'{"q": "two", "a": "2", "a": "3"}', "a", "stands twice in one object"),
    "a key twice, once escaped": (b'{"q": "two", "a": "2", "\\u0061": "2"}', "a", "stands twice in one object"),
    "a key twice that no file can hold": (
        b'{"q": "two", "a": "2", "\\ud800": 1, "\\ud800": 2}',
        "\\ud800",
        "stands twice in one object",
    ),
    "a key twice inside": (b'{"q": "two", "a": "2", "z": [{"k": 1, "k": 1}]}', "k", "stands twice in one object"),
    "text behind the object": (b'{"q": "two", "a": "2"} more', "", "malformed JSON: Extra data"),
    "two objects on a line": (b'{"q": "two", "a": "2"}{"q": "three", "a": "3"}', "", "malformed JSON: Extra data"),
    "single quotes": (b"{'q': 'two', 'a': '2'}", "", "malformed JSON"),
    "a comma at the end": (b'{"q": "two", "a": "2",}', "", "malformed JSON"),
    "NaN": (b'{"q": "two", "a": NaN}', "a", "is not a finite number"),
    "infinity": (b'{"q": "two", "a": -Infinity}', "a", "is not a finite number"),
    "a number beyond all floats": (b'{"q": "two", "a": 1e999}', "a", "is not a finite number"),
    "5,000 digits": (b'{"q": "two", "a": ' + b"9" * 5_000 + b"}", "", "Exceeds the limit"),
    "depth": (b'{"q": "two", "a": ' + b"[" * 9_999 + b"]" * 9_999 + b"}", "", "malformed JSON: maximum recursion"),
    "true": (b'{"q": "two", "a": true}', "a", "is true, not text or a number"),
    "a question that is false": (b'{"q": false, "a": "2"}', "q", "is false, not text or a number"),
    "null": (b'{"q": "two", "a": null}', "a", "is null"),
    "a list": (b'{"q": "two", "a": ["2"]}', "a", "is a list, not text"),
    "an object": (b'{"q": {"text": "two"}, "a": "2"}', "q", "is an object, not text"),
    "an empty text": (b'{"q": " ", "a": "2"}', "q", "is empty"),
    "no field": (b'{"q": "two"}', "a", "is missing"),
    "a list in place of an object": (b'[{"q": "two", "a": "2"}]', "", "is a list, not an object"),
    "a scalar in place of an object": (b"12", "", "is a int, not an object"),
    "a web page's line": (b"<html>404</html>", "", "malformed JSON"),
}


@pytest.mark.parametrize("name", LINES)
def test_a_bad_line_is_rejected_and_costs_no_other(name: str, tmp_path: Path) -> None:
    line, field, reason = LINES[name]
    three = ("three?", "3")
    kept, [(number, where, why)] = outcome(tmp_path, "x.jsonl", ONE + line + b'\n{"q": "three?", "a": 3}\n')
    assert (kept, number, where) == ({("one?", "1"), three}, 2, field)
    assert reason in why


ROWS: dict[str, tuple[str, bytes, set[tuple[str, str]], list[Rejected]]] = {
    "CSV in Latin-1": ("x.csv", CSV + "é,2\n".encode("latin-1"), {("one?", "1")}, [(3, "", "is not UTF-8")]),
    "NUL in CSV": ("x.csv", CSV + b"a\0b,2\n", {("one?", "1")}, [(3, "q", "NUL character")]),
    "ragged rows": (
        "x.csv",
        CSV + b"short\nlong,1,2\nlast?,3\n",
        {("one?", "1"), ("last?", "3")},
        [(3, "", "has 1 cells where the header has 2"), (4, "", "has 3 cells where the header has 2")],
    ),
    "an open quote": (
        "x.csv",
        CSV + b'"open,2\nlast?,3\n',
        {("one?", "1"), ("last?", "3")},
        [(3, "", "malformed CSV")],
    ),
    "text behind a quote": (
        "x.csv",
        CSV + b'"two" x,2\nlast?,3\n',
        {("one?", "1"), ("last?", "3")},
        [(3, "", "malformed CSV")],
    ),
    "an endless line that ends like a row": (
        "x.csv",
        CSV + b"x" * 2**20 + b"yy,5\nlast?,3\n",
        {("one?", "1"), ("last?", "3")},
        [(3, "", "row is longer than")],
    ),
    "an endless line behind an open quote": (
        "x.csv",
        CSV + b'"open\n' + b"x" * 2**20 + b"yy,5\nlast?,3\n",
        {("one?", "1"), ("last?", "3")},
        [(3, "", "row is longer than"), (4, "", "row is longer than")],
    ),
    "two lists": ("x.json", b'[{"q":"one?","a":"1"}]\n[]\n[{"q":"last?","a":3}]', {("one?", "1"), ("last?", "3")}, []),
    "a bad byte in a list": (
        "x.json",
        b'[{"q":"one?","a":"1"},\n{"q":"\xff","a":"2"},{"q":"last?","a":3}]',
        {("one?", "1"), ("last?", "3")},
        [(2, "", "is not UTF-8")],
    ),
    "a key twice in a list": (
        "x.json",
        b'[{"q":"one?","a":"1"},\n{"q":"two","a":2,"a":3},{"q":"last?","a":3}]',
        {("one?", "1"), ("last?", "3")},
        [(2, "a", "stands twice")],
    ),
    "null in a list": (
        "x.json",
        b'[null,\n{"q":"one?","a":"1"}]',
        {("one?", "1")},
        [(1, "", "is a NoneType, not an object")],
    ),
    "NaN in a list": (
        "x.json",
        b'[{"q":"one?","a":"1"},{"q":"two","a":NaN}]',
        {("one?", "1")},
        [(1, "a", "is not a finite number")],
    ),
    "several gzip files in one": (
        "x.jsonl.gz",
        gzip.compress(ONE) + gzip.compress(b'{"q":"last?","a":3}'),
        {("one?", "1"), ("last?", "3")},
        [],
    ),
    "bytes that are no UTF-8": (
        "x.parquet",
        parquet(q=[b"one?", b"two", b"\xff"], a=[b"1", b"\xff", b"3"]),
        {("one?", "1")},
        [(2, "a", "is not UTF-8 at byte 0"), (3, "q", "is not UTF-8 at byte 0")],
    ),
    "a string that is no UTF-8": (
        "x.parquet",
        parquet(
            q=pa.StringArray.from_buffers(2, pa.py_buffer(struct.pack("<iii", 0, 4, 5)), pa.py_buffer(b"one?\xff")),
            a=["1", "2"],
        ),
        {("one?", "1")},
        [(2, "q", "is not UTF-8 at byte 0")],
    ),
    "nulls": ("x.parquet", parquet(q=["one?", None], a=["1", "2"]), {("one?", "1")}, [(2, "q", "is null")]),
    "NaN in Parquet": (
        "x.parquet",
        parquet(q=["one?", "two"], a=[1.0, float("nan")]),
        {("one?", "1.0")},
        [(2, "a", "is not a finite number")],
    ),
    "truth values": (
        "x.parquet",
        parquet(q=["one?", "two"], a=pa.array([b"1", b"2"]), b=[True, False]),
        {("one?", "1"), ("two", "2")},
        [],
    ),
}


@pytest.mark.parametrize("name", ROWS)
def test_bad_rows_are_listed_and_good_ones_kept(name: str, tmp_path: Path) -> None:
    file, data, kept, rejects = ROWS[name]
    found, listed = outcome(tmp_path, file, data)
    assert found == kept
    assert [(line, field) for line, field, _ in listed] == [(line, field) for line, field, _ in rejects]
    assert all(reason in why for (_, _, why), (_, _, reason) in zip(listed, rejects, strict=True))


def test_notes_are_taken_of_what_json_can_hold(tmp_path: Path) -> None:
    table = parquet(a=["1"], m=[datetime(2020, 1, 1)], d=[Decimal("1.5")], b=[b"x\xff"], n=[float("nan")], t=[True])
    (tmp_path / "x.parquet").write_bytes(table)
    notes = {name: name for name in "mdbnt"}
    config = QuestionsConfig(
        source=str(tmp_path / "x.parquet"), fields=FieldMapping(question="q", answer="a", meta=notes)
    )
    build_questions(resolve(config), tmp_path / "out", tmp_path / "work")
    [row] = read_rows(tmp_path / "out" / QUESTIONS_FILE)
    assert json.loads(row["meta"]) == {"m": "2020-01-01 00:00:00", "d": "1.5", "b": "x\\xff", "t": True}
