"""Files that cannot be read, or of which no row can: refused in one line that names the file."""

import bz2
import gzip
import io
import json
import lzma
import re
import zipfile
from datetime import date, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from tasks.shared.sources.errors import SourceError
from tests.support.question_files import CSV, ONE, outcome, parquet


def zipped() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("xl/workbook.xml", "<workbook/>")
    return out.getvalue()


def damaged() -> bytes:
    data = bytearray(parquet(q=[f"{n} one?" for n in range(999)], a=["1"] * 999, options={"use_dictionary": False}))
    data[200:260] = b"\xff" * 60
    return bytes(data)


REFUSED = {
    "UTF-16": ("x.jsonl", ONE.decode().encode("utf-16"), "is UTF-16 or UTF-32 text; convert it"),
    "UTF-16 from the other end": ("x.csv", b"\xfe\xff" + CSV.decode().encode("utf-16-be"), "is UTF-16"),
    "UTF-16 without a mark": ("x.csv", CSV.decode().encode("utf-16-le"), "is UTF-16"),
    "UTF-32": ("x.csv", CSV.decode().encode("utf-32"), "is UTF-16 or UTF-32"),
    "nothing": ("x.jsonl", b"", "holds no rows"),
    "blank lines": ("x.jsonl", b"\n \n\r\n", "holds no rows"),
    "a byte order mark alone": ("x.jsonl", b"\xef\xbb\xbf", "holds no rows"),
    "an empty list": ("x.json", b"[]", "holds no rows"),
    "a header alone": ("x.csv", b"q,a\n", "holds no rows"),
    "no header": ("x.csv", b"", "a header with one name per column is needed"),
    "a name twice": ("x.csv", b"q,a,a\none?,1,2\n", "a header with one name per column is needed"),
    "header cells without names": ("x.csv", b",,\n1,2,3\n", "a header with one name per column is needed"),
    "line ends of an old Mac": ("x.csv", CSV.replace(b"\n", b"\r"), "end in carriage returns alone; convert them"),
    "JSON lines with line ends of an old Mac": (
        "x.jsonl",
        (ONE * 2).replace(b"\n", b"\r"),
        "end in carriage returns alone; convert them",
    ),
    "semicolons": ("x.csv", b"q;a\none?;1\n", r"the header is the one name 'q;a'; .* write it with commas"),
    "tabs": ("x.csv", b"q\ta\none?\t1\n", r"the header is the one name .* set format to tsv"),
    "names in capitals": ("x.csv", b"Q,A\none?,1\n", r"has 'q'. The rows have: Q, A"),
    "names that no terminal prints": (
        "x.jsonl",
        b'{"\\ud800": "one?", "a\\nb": "1"}',
        r"The rows have: \\ud800, a b\.",
    ),
    "names without end": ("x.jsonl", json.dumps({f"key {n}": n for n in range(9_999)}).encode(), r"key 98, key 99\."),
    "text behind a list": ("x.json", b'[{"q":"one?","a":"1"}]\ntrailing', "line 2: 't' follows the JSON list"),
    "an object behind a list": ("x.json", b'[{"q":"one?","a":"1"}] {"q":"x","a":"1"}', "'{' follows the JSON list"),
    "a comma behind a list": ("x.json", b'[{"q":"one?","a":"1"}],', "',' follows the JSON list"),
    "a comma at the end of a list": ("x.json", b'[{"q":"one?","a":"1"},]', "line 1: the JSON list is damaged"),
    "a list cut off": ("x.json", b'[{"q":"one?","a":"1"},\n{"q":', "line 2: the JSON list is damaged or cut off"),
    "a list without its end": ("x.json", b'[{"q":"one?","a":"1"}', "the JSON list is damaged or cut off"),
    "depth in a list": (
        "x.json",
        b'[{"q":"one?","a":' + b"[" * 9_999 + b"]" * 9_999 + b"}]",
        "maximum recursion depth",
    ),
    "a list of lists": ("x.json", b'[[{"q":"one?","a":"1"}]]', "is a list, not an object"),
    "a list under one key": ("x.json", b'{"data": [{"q":"one?","a":"1"}]}', r"has 'q'. The rows have: data"),
    "columns of pandas": ("x.json", b'{"q": {"0": "one?"}, "a": {"0": "1"}}', "q: is an object, not text"),
    "objects over several lines": ("x.json", b'{\n "q": "one?",\n "a": "1"\n}\n', "objects over several lines"),
    "a list named jsonl": (
        "x.jsonl",
        b'[\n{"q":"one?","a":"1"},\n{"q":"two","a":"2"}\n]',
        "is a JSON list and not JSON lines",
    ),
    "a list on one line named jsonl": ("x.jsonl", b'[{"q":"one?","a":"1"}]', "is a list, not an object"),
    "a web page": ("x.jsonl", b"\n<!DOCTYPE html>\n<html><body>404", "is a web page"),
    "a web page named csv": ("x.csv", b"<HTML><body>Please log in, now", "is a web page"),
    "an error of S3": ("x.csv", b"<?xml version='1.0'?><Error><Code>AccessDenied", "is a web page"),
    "a git-lfs pointer": (
        "x.parquet",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 9\n",
        "is a git-lfs pointer .* `git lfs pull`",
    ),
    "a git-lfs pointer named csv": (
        "x.csv",
        b"version https://git-lfs.github.com/spec/v1\noid sha256:ab\n",
        "is a git-lfs pointer",
    ),
    "a zip archive": ("x.jsonl", zipped(), "is a zip archive"),
    "an Excel sheet named csv": (
        "x.csv",
        zipped(),
        "is a zip archive, as Excel's files are too; .* save the table as CSV",
    ),
    "bzip2": ("x.jsonl", bz2.compress(ONE), "compressed file of a kind that is not read"),
    "xz": ("x.jsonl", lzma.compress(ONE), "compressed file of a kind that is not read"),
    "tar": ("x.jsonl", b"x.jsonl".ljust(257, b"\1") + b"ustar\x0000", "is a tar archive"),
    "a pickle": ("x.jsonl", b"\x80\x04\x95\n", "is not UTF-8"),
    "gzip cut off": ("x.jsonl.gz", gzip.compress(ONE * 99)[:-12], "the gzip file is damaged or cut off"),
    "gzip without its end": ("x.jsonl.gz", gzip.compress(ONE)[:-4], "the gzip file is damaged or cut off"),
    "gzip with a wrong sum": ("x.jsonl.gz", gzip.compress(ONE)[:-8] + b"\0" * 8, "the gzip file is damaged or cut off"),
    "gzip with something behind": ("x.jsonl.gz", gzip.compress(ONE) + b"more", "the gzip file is damaged or cut off"),
    "the beginning of gzip": ("x.jsonl.gz", b"\x1f\x8b", "the gzip file is damaged or cut off"),
    "gzip in gzip": ("x.jsonl.gz", gzip.compress(gzip.compress(ONE)), "is a gzip file inside a gzip file"),
    "nothing in gzip": ("x.jsonl.gz", gzip.compress(b""), "holds no rows"),
    "Parquet named jsonl": ("x.jsonl", parquet(a=["1"]), "is a Parquet file; name it .parquet"),
    "JSON named parquet": ("x.parquet", ONE * 9, "not a whole Parquet file"),
    "no Parquet at all": ("x.parquet", b"", "not a whole Parquet file"),
    "Parquet cut off": ("x.parquet", parquet(a=["1"])[:-9], "not a whole Parquet file"),
    "gzipped Parquet cut off": ("x.parquet.gz", gzip.compress(parquet(a=["1"]))[:-9], "the gzip file is damaged"),
    "a damaged page": ("x.parquet", damaged(), "damaged after row 0"),
    "two columns of one name": (
        "x.parquet",
        parquet(pa.Table.from_arrays([pa.array(["one?"]), pa.array(["1"]), pa.array(["2"])], names=["q", "a", "a"])),
        "2 columns are called 'a'",
    ),
    "no rows in Parquet": (
        "x.parquet",
        parquet(q=pa.array([], pa.string()), a=pa.array([], pa.string())),
        "holds no rows",
    ),
    "no columns in Parquet": ("x.parquet", parquet(pa.table({})), "holds no rows"),
    "dates": ("x.parquet", parquet(a=[date(2020, 1, 1)]), "a: is a date, not text or a number"),
    "times": ("x.parquet", parquet(a=[datetime(2020, 1, 1)]), "a: is a datetime, not text or a number"),
    "durations": ("x.parquet", parquet(a=[timedelta(1)]), "a: is a timedelta, not text or a number"),
    "years beyond 9999": (
        "x.parquet",
        parquet(a=pa.array([2**59], pa.timestamp("us"))),
        "a: is a timestamp.* that cannot be read",
    ),
    "a column of nothing": ("x.parquet", parquet(a=pa.nulls(1)), "a: is null"),
    "a column of truth values": ("x.parquet", parquet(a=[True]), "a: is true, not text or a number"),
    "a column of lists": ("x.parquet", parquet(a=[["1"]]), "a: is a list, not text or a number; map a field inside it"),
    "a column of structures": ("x.parquet", parquet(a=[{"text": "1"}]), "a: is an object, not text or a number"),
    "a column of maps": (
        "x.parquet",
        parquet(a=pa.array([[("k", "v")]], pa.map_(pa.string(), pa.string()))),
        "a: is a list, not text",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    file, data, message = REFUSED[name]
    with pytest.raises(SourceError) as caught:
        outcome(tmp_path, file, data)
    assert re.search(message, str(caught.value))
    assert "\n" not in str(caught.value)
    assert file in str(caught.value)
