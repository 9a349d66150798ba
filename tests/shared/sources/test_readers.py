"""Reading files: bad rows are set aside with their place, good ones are never lost, damaged files are errors."""

import csv
import gzip
import io
import json
import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.shared.sources import json_rows
from tasks.shared.sources.csv_rows import MAX_ROW_CHARS
from tasks.shared.sources.errors import Record, Reject, SourceError
from tasks.shared.sources.readers import read_file


def read(data: bytes, format: str) -> list[Record | Reject]:
    return list(read_file(io.BytesIO(data), "file", format))


def records(items: list[Record | Reject]) -> list[tuple[int, dict[str, Any]]]:
    return [(item.line, item.row) for item in items if isinstance(item, Record)]


def rejects(items: list[Record | Reject]) -> list[tuple[int, str]]:
    return [(item.line, item.reason) for item in items if isinstance(item, Reject)]


def test_jsonl_keeps_every_good_row_around_bad_ones() -> None:
    lines = [
        b'\xef\xbb\xbf{"a": 1}',
        b"",
        b'{"a": 2',
        b'{"a": "\xff"}',
        b"[1]",
        b"12",
        b"nonsense",
        b"[" * 100_000,
        b'{"a": ' + b"9" * 5_000 + b"}",
        b'{"a": 3}',
    ]
    items = read(b"\r\n".join(lines), "jsonl")
    assert records(items) == [(1, {"a": 1}), (10, {"a": 3})]
    assert [line for line, _ in rejects(items)] == [3, 4, 5, 6, 7, 8, 9]
    reasons = [reason for _, reason in rejects(items)]
    assert reasons[0].startswith("malformed JSON")
    assert reasons[1].startswith("is not UTF-8")
    assert reasons[2:4] == ["is a list, not an object", "is a int, not an object"]


def test_a_last_line_that_is_cut_off_says_so() -> None:
    items = read(b'{"a": 1}\n{"a": "tw', "jsonl")
    assert records(items) == [(1, {"a": 1})]
    assert "may be cut off" in rejects(items)[0][1]


def test_an_endless_line_is_set_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_rows, "MAX_ROW_BYTES", 100)
    items = read(b'{"a": 1}\n' + b"x" * 1_000 + b'\n{"a": 2}\n', "jsonl")
    assert records(items) == [(1, {"a": 1}), (3, {"a": 2})]
    assert rejects(items) == [(2, "line is longer than 100 bytes")]


@pytest.mark.parametrize("block", [1, 7, 4_096])
def test_a_json_list_is_read_object_by_object(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(json_rows, "_READ_CHARS", block)
    text = '\n [ {"a": "}],é"},\n\n 3.25 , {"b": [1, {"c": null}]}\n,\n"x"]\n'
    items = read(text.encode(), "json")
    assert records(items) == [(2, {"a": "}],é"}), (4, {"b": [1, {"c": None}]})]
    assert rejects(items) == [(4, "is a float, not an object"), (6, "is a str, not an object")]


def test_json_reads_empty_lists_and_json_lines() -> None:
    assert read(b" []", "json") == []
    assert records(read(b'{"a": 1}\n{"a": 2}\n', "json")) == [(1, {"a": 1}), (2, {"a": 2})]


@pytest.mark.parametrize(
    ("data", "line"),
    [(b'[{"a": 1},\n{"a": ', 2), (b'[{"a": 1}\n{"a": 2}]', 2), (b'[{"a": 1},\n', 2), (b"[", 1), (b'[{"a" 1}]', 1)],
)
def test_a_damaged_json_list_is_an_error_with_its_line(data: bytes, line: int) -> None:
    with pytest.raises(SourceError, match=f"file, line {line}: the JSON list is damaged or cut off"):
        read(data, "json")


def test_csv_rows_begin_where_they_begin() -> None:
    data = b'\xef\xbb\xbfq,a\n"two\nlines",1\n\nshort\nlong,1,2\n"said ""x""",3\nbad \xff,4\nlast,5'
    items = read(data, "csv")
    assert records(items) == [
        (2, {"q": "two\nlines", "a": "1"}),
        (7, {"q": 'said "x"', "a": "3"}),
        (9, {"q": "last", "a": "5"}),
    ]
    assert [line for line, _ in rejects(items)] == [5, 6, 8]
    assert rejects(items)[0][1] == "has 1 cells where the header has 2"


def test_an_open_quote_costs_one_row_only() -> None:
    rows = "".join(f"question {index},{index}\n" for index in range(200))
    items = read(f'q,a\nfirst,0\n"open,1\n{rows}'.encode(), "csv")
    assert len(records(items)) == 201
    assert rejects(items)[0][0] == 3
    assert records(items)[-1] == (203, {"q": "question 199", "a": "199"})


def test_an_open_quote_in_a_large_file_is_given_up_after_a_bounded_read() -> None:
    rows = "".join(f"question {index},{index}\n" for index in range(2 * MAX_ROW_CHARS // 20))
    items = read(f'q,a\n"open,1\n{rows}'.encode(), "csv")
    assert len(records(items)) == rows.count("\n")
    assert "is a quote left open?" in rejects(items)[0][1]


def test_tabs_part_the_columns_of_a_tsv_file() -> None:
    items = read(b'q\ta\n1, 2 and "3"\t6\n"a\tb"\t7\nshort\n', "tsv")
    assert records(items) == [(2, {"q": '1, 2 and "3"', "a": "6"}), (3, {"q": "a\tb", "a": "7"})]
    assert rejects(items) == [(4, "has 1 cells where the header has 2")]


@pytest.mark.parametrize(
    ("data", "format", "message"),
    [
        (b"q\ta\n1\t2\n", "csv", "set format to tsv"),
        (b"q;a\n1;2\n", "csv", "by semicolons, write it with commas"),
        (b"q,a\n1,2\n", "tsv", "set format to csv"),
    ],
)
def test_a_header_of_one_column_that_looks_like_several_is_refused(data: bytes, format: str, message: str) -> None:
    with pytest.raises(SourceError, match=f"file, line 1: the header is the one name .*{message}"):
        read(data, format)


@pytest.mark.parametrize("header", [b"", b"\n", b"q,q\n1,2\n", b"q\xff,a\n1,2\n"])
def test_a_csv_file_needs_a_header(header: bytes) -> None:
    with pytest.raises(SourceError, match="file, line 1: a header"):
        read(header, "csv")


def test_parquet_rows_keep_their_nesting(tmp_path: Path) -> None:
    rows = [{"prompt": [{"content": f"q{index}"}], "answer": index} for index in range(1_200)]
    path = tmp_path / "rows.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert records(read(path.read_bytes(), "parquet")) == list(enumerate(rows, start=1))


@pytest.mark.parametrize("format", ["jsonl", "json", "csv", "parquet"])
def test_gzip_is_recognised_by_itself_and_must_be_whole(format: str, tmp_path: Path) -> None:
    rows = [{"q": f"question {random.Random(index).random()}", "a": str(index)} for index in range(3_000)]
    data = encoded(rows, format, tmp_path)
    assert [row for _, row in records(read(gzip.compress(data), format))] == rows
    with pytest.raises(SourceError, match=r"file: .*(cut off|not a whole)"):
        read(gzip.compress(data)[:-200], format)


@pytest.mark.parametrize("keep", [0, 10, 200])
def test_a_truncated_parquet_file_is_an_error(tmp_path: Path, keep: int) -> None:
    data = encoded([{"q": "x", "a": "1"}] * 100, "parquet", tmp_path)
    with pytest.raises(SourceError, match="file: not a whole Parquet file"):
        read(data[:keep], "parquet")


def test_a_changed_bit_in_a_page_with_a_checksum_never_gives_other_rows(tmp_path: Path) -> None:
    path, rows = tmp_path / "rows.parquet", [{"q": f"what is {index}?", "a": str(index)} for index in range(100)]
    pq.write_table(pa.Table.from_pylist(rows), path, compression="none", write_page_checksum=True)
    data, chance = path.read_bytes(), random.Random(0)
    pages = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    refused = 0
    for _ in range(100):
        changed = bytearray(data)
        changed[chance.randrange(pages)] ^= 1 << chance.randrange(8)
        try:
            assert records(read(bytes(changed), "parquet")) == list(enumerate(rows, 1))
        except SourceError:
            refused += 1
    assert refused > 80


def test_damage_never_costs_another_line_and_is_always_counted() -> None:
    for seed in range(60):
        rng = random.Random(seed)
        lines = [json.dumps({"q": f"né {index}", "a": index}, ensure_ascii=False).encode() for index in range(30)]
        damaged = set(rng.sample(range(30), 10))
        for index in damaged:
            line = bytearray(lines[index])
            for _ in range(rng.randrange(1, 6)):
                line[rng.randrange(len(line))] = rng.choice([c for c in range(256) if c not in b"\n\r"])
            lines[index] = bytes(line)
        items = read(b"\n".join(lines), "jsonl")
        blank = sum(not line.strip() for line in lines)
        assert len(items) == 30 - blank
        whole = {line - 1: row for line, row in records(items)}
        assert all(whole[index] == {"q": f"né {index}", "a": index} for index in range(30) if index not in damaged)


def encoded(rows: list[dict[str, str]], format: str, folder: Path) -> bytes:
    if format == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in rows).encode()
    if format == "json":
        return json.dumps(rows).encode()
    if format == "csv":
        text = io.StringIO()
        writer = csv.DictWriter(text, rows[0])
        writer.writeheader()
        writer.writerows(rows)
        return text.getvalue().encode()
    pq.write_table(pa.Table.from_pylist(rows), folder / "rows.parquet", compression="none")
    return (folder / "rows.parquet").read_bytes()
