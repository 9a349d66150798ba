"""Small files that unpack to much: memory stays bounded, and the rows around a heavy one are read."""

import gzip
import io
import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.shared.sources import rejects as rejecting
from tasks.shared.sources import streams
from tasks.shared.sources.errors import Record, Reject, SourceError
from tasks.shared.sources.readers import read_file
from tasks.shared.sources.rejects import RejectLog

MIB = 2**20
COUNT = """
import re, sys
from tasks.shared.sources.errors import SourceError
from tasks.shared.sources.files import SourceFiles

def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read()).group(1)) // 1024

files = SourceFiles(sys.argv[1], "rows", "nothing")
import tasks.shared.sources.parquet_rows
before, rows = peak(), 0
try:
    for item in files.read(files.digest()):
        rows += 1
except SourceError as error:
    rows = str(error)
print(peak() - before, rows)
"""


def heavy_rows(folder: Path, file: str) -> Path:
    """A file of at most 2 MB that holds 150 to 800 MiB."""
    path = folder / file
    if file.endswith(".parquet"):
        texts = pa.DictionaryArray.from_arrays(pa.array([0] * 100, pa.int32()), pa.array(["x" * 8 * MIB]))
        lists = pa.ListArray.from_arrays(pa.array([0, 1, 100], pa.int32()), texts)
        pq.write_table(pa.table({"q": texts} if file == "again.parquet" else {"q": lists}), path, store_schema=False)
    else:
        with gzip.open(path, "wb", compresslevel=1) as out:
            for _ in range(150):
                out.write(os.urandom(8_192).hex().encode() + b"x" * MIB)
            out.write(b"\n" + b'{"q": 1}\n' * 9)
    return path


@pytest.mark.parametrize(("file", "rows"), [("again.parquet", 100), ("inside.parquet", 2), ("lines.jsonl.gz", 10)])
def test_heavy_rows_cost_bounded_memory(tmp_path: Path, file: str, rows: int) -> None:
    command = [sys.executable, "-c", COUNT, str(heavy_rows(tmp_path, file))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    used, _, found = done.stdout.partition(" ")
    assert found.strip() == str(rows)
    assert int(used) < 200


def read(data: bytes, format: str) -> list[Record | Reject]:
    return list(read_file(io.BytesIO(data), "file", format))


def parquet(table: pa.Table, **options: object) -> bytes:
    out = io.BytesIO()
    pq.write_table(table, out, **options)
    return out.getvalue()


def test_a_heavy_row_is_set_aside_and_its_neighbours_read() -> None:
    table = pa.table({"q": ["one?", "x" * 20 * MIB, "three?"], "a": [1, 2, 3]})
    first, heavy, last = read(parquet(table), "parquet")
    assert (first.row, last.row, last.line) == ({"q": "one?", "a": 1}, {"q": "three?", "a": 3}, 3)
    assert isinstance(heavy, Reject)
    assert (heavy.line, heavy.reason[:20]) == (2, "row takes 20971530 b")


@pytest.mark.parametrize(
    "column",
    [
        pa.array([[0] * 600_000]),
        pa.array([[("k", "x" * 9 * MIB), ("l", "x" * 9 * MIB)]], pa.map_(pa.string(), pa.string())),
        pa.array([{"a": {"b": "x" * 20 * MIB}}]),
        pa.array([b"x" * 20 * MIB]),
        pa.array(["x" * 20 * MIB]).dictionary_encode(),
    ],
)
def test_whatever_is_heavy_is_weighed(column: pa.Array) -> None:
    light = pa.table({"q": pa.array([None], column.type)})
    first, second, third = read(parquet(pa.concat_tables([light, pa.table({"q": column}), light])), "parquet")
    assert isinstance(second, Reject)
    assert isinstance(first, Record)
    assert isinstance(third, Record)


@pytest.mark.parametrize("format", ["jsonl", "csv", "json", "parquet"])
def test_gzip_that_unpacks_to_far_more_is_refused(monkeypatch: pytest.MonkeyPatch, format: str) -> None:
    monkeypatch.setattr(streams, "FREE_BYTES", 2 * MIB)
    with pytest.raises(SourceError, match=r"file: unpacks to more than 200 times its size"):
        read(gzip.compress(b" " * 8 * MIB), format)


def test_columns_that_unpack_to_far_more_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "FREE_BYTES", 2 * MIB)
    plain = {"use_dictionary": False, "compression": "zstd"}
    with pytest.raises(SourceError, match=r"file, column q: unpacks to more than 200 times its size"):
        read(parquet(pa.table({"q": ["x" * 3 * MIB]}), **plain), "parquet")
    with pytest.raises(SourceError, match=r"file, column l.list.element: unpacks to more"):
        read(parquet(pa.table({"l": [[0] * MIB]})), "parquet")
    with pytest.raises(SourceError, match=r"file: unpacks to more than 200 times its size"):
        read(parquet(pa.table({"n": pa.nulls(300_000)})), "parquet")


def test_rejects_are_the_same_in_memory_and_on_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    wanted = [Reject(f"file {n % 3}", n, "a" if n % 2 else "", f"\udc80 {n}", "is missing") for n in range(300)]
    for size in (2**24, 100):
        monkeypatch.setattr(RejectLog, "_IN_MEMORY_BYTES", size)
        log = RejectLog()
        log.extend(wanted[:200])
        assert log.first(3) == wanted[:3]
        log.extend(wanted[200:])
        assert (list(log), len(log)) == (wanted, 300)
        assert (log.reasons, log.missing) == ({"a: is missing": 150, "is missing": 150}, {"a": 150, "": 150})


def test_reasons_that_all_differ_are_counted_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rejecting.RejectLog, "_MOST_REASONS", 2)
    log = RejectLog()
    log.extend(Reject("file", n, "", "", f"reason {n % 4}") for n in range(8))
    assert log.reasons == {"reason 0": 2, "reason 1": 2, RejectLog.FURTHER: 4}
