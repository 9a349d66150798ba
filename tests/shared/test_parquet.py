"""Tables: streamed, checked, never half-written."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tasks.shared.tables.parquet import (
    ParquetError,
    Weight,
    count_rows,
    read_columns,
    read_groups,
    read_rows,
    write_parquet,
)
from tasks.shared.tables.sorting import sort_rows
from tests.support.tables import check_schema

SCHEMA = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("rank", pa.int32()), ("text", pa.string())])


def rows(count: int) -> Iterator[dict[str, Any]]:
    for index in range(count):
        yield {"id": f"{index:06d}", "rank": index, "text": None if index % 7 == 0 else f"text {index}"}


@pytest.mark.parametrize("count", [0, 1, 1_999, 2_000, 2_001, 5_000])
def test_rows_come_back_as_written_in_small_zstd_groups(tmp_path: Path, count: int) -> None:
    path = tmp_path / "new" / "table.parquet"
    assert write_parquet(rows(count), path, SCHEMA, sorted_by=("id",)) == count
    assert list(read_rows(path, schema=SCHEMA)) == list(rows(count))
    assert count_rows(path) == count
    meta = pq.ParquetFile(path).metadata
    groups = [meta.row_group(index) for index in range(meta.num_row_groups)]
    assert all(group.num_rows <= 2_000 for group in groups)
    assert all(group.column(0).compression == "ZSTD" for group in groups)
    assert [entry.name for entry in path.parent.iterdir()] == ["table.parquet"]


def test_columns_can_be_chosen(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_parquet(rows(3), path, SCHEMA)
    assert list(read_rows(path, ["rank"])) == [{"rank": 0}, {"rank": 1}, {"rank": 2}]
    with pytest.raises(ParquetError, match="no column 'grade'; it has id, rank, text"):
        list(read_rows(path, ["grade"]))


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ({"id": "a", "rank": 1}, r"row 3 lacks columns \['text'\]"),
        ({"id": "a", "rank": 1, "text": "", "extra": 1}, r"row 3 .* undeclared columns \['extra'\]"),
        ({"id": None, "rank": 1, "text": ""}, "row 3, column 'id' is None"),
        ({"id": "a", "rank": "one", "text": ""}, "column 'rank' is not int32"),
        ({"id": "a", "rank": 2**40, "text": ""}, "column 'rank' is not int32"),
    ],
)
def test_a_bad_row_is_refused_and_the_old_file_stays(tmp_path: Path, bad: dict[str, Any], message: str) -> None:
    path = tmp_path / "table.parquet"
    write_parquet(rows(2), path, SCHEMA)
    with pytest.raises(ParquetError, match=message):
        write_parquet([*rows(3), bad], path, SCHEMA)
    assert count_rows(path) == 2
    assert [entry.name for entry in tmp_path.iterdir()] == ["table.parquet"]


def test_a_producer_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def failing() -> Iterator[dict[str, Any]]:
        yield from rows(4_500)
        raise RuntimeError("engine died")

    with pytest.raises(RuntimeError, match="engine died"):
        write_parquet(failing(), tmp_path / "table.parquet", SCHEMA)
    assert list(tmp_path.iterdir()) == []


def test_disorder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParquetError, match=r"row 2 has \('id',\) = \('000000',\) after \('000001',\)"):
        write_parquet([*rows(2), *rows(1)], tmp_path / "table.parquet", SCHEMA, sorted_by=("id",))


@pytest.mark.parametrize("keep", [0, 3, 400])
def test_a_truncated_file_is_an_error(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "table.parquet"
    write_parquet(rows(2_500), path, SCHEMA)
    path.write_bytes(path.read_bytes()[:keep])
    for read in (lambda: list(read_rows(path)), lambda: count_rows(path), lambda: check_schema(path, SCHEMA)):
        with pytest.raises(ParquetError, match=r"table\.parquet: not a whole Parquet file"):
            read()


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ParquetError, match="no such Parquet file"):
        count_rows(tmp_path / "table.parquet")


def test_damage_inside_a_whole_looking_file_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_parquet(rows(2_500), path, SCHEMA)
    data = bytearray(path.read_bytes())
    data[4:300] = bytes(296)
    path.write_bytes(bytes(data))
    with pytest.raises(ParquetError, match="damaged Parquet file"):
        list(read_rows(path))


def test_other_columns_than_declared_are_an_error(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_parquet(rows(3), path, SCHEMA)
    other = pa.schema([("id", pa.string()), ("rank", pa.int64()), ("grade", pa.string())])
    with pytest.raises(ParquetError, match="grade: found nothing, wanted string; rank: found int32, wanted int64"):
        check_schema(path, other)
    check_schema(path, SCHEMA)


@pytest.mark.parametrize("run_rows", [7, 100, 1_000])
def test_sorting_in_runs_equals_sorting_in_memory(tmp_path: Path, run_rows: int) -> None:
    shuffled = [{**row, "rank": row["rank"] % 5} for row in rows(500)]
    random.Random(3).shuffle(shuffled)
    got = list(sort_rows(shuffled, SCHEMA, lambda row: row["rank"], tmp_path, run_rows=run_rows))
    assert got == sorted(shuffled, key=lambda row: row["rank"])
    assert list(tmp_path.iterdir()) == []


def test_memory_does_not_grow_with_rows(tmp_path: Path) -> None:
    text = "x" * 1_000

    def peak(count: int) -> int:
        highest = 0

        def produce() -> Iterator[dict[str, Any]]:
            nonlocal highest
            for index in range(count):
                if index % 500 == 0:
                    highest = max(highest, pa.total_allocated_bytes())
                yield {"id": f"{index:08d}", "rank": index, "text": f"{text}{index}"}

        write_parquet(produce(), tmp_path / "table.parquet", SCHEMA)
        for index, _ in enumerate(read_rows(tmp_path / "table.parquet")):
            if index % 500 == 0:
                highest = max(highest, pa.total_allocated_bytes())
        return highest

    assert peak(40_000) < 1.5 * peak(8_000) + 2**20


def test_lists_are_columns_like_others(tmp_path: Path) -> None:
    schema = pa.schema([pa.field("tokens", pa.list_(pa.int32()), nullable=False)])
    write_parquet([{"tokens": [1, 2]}, {"tokens": []}], tmp_path / "a.parquet", schema)
    assert list(read_rows(tmp_path / "a.parquet", schema=schema)) == [{"tokens": [1, 2]}, {"tokens": []}]
    with pytest.raises(ParquetError, match="tokens: found list<element: int32>, wanted list<item: int64>"):
        check_schema(tmp_path / "a.parquet", pa.schema([pa.field("tokens", pa.list_(pa.int64()))]))


def test_a_weight_bounds_row_groups_and_sorted_runs(tmp_path: Path) -> None:
    """Rows of very different size: no group weighs more than the bound and one row, and all come back in order."""
    schema = pa.schema([pa.field("text", pa.string(), nullable=False)])
    rng = random.Random(0)
    rows = [{"text": f"{rng.random():.6f}" * rng.choice([1, 1, 1, 50])} for _ in range(600)]
    weight = Weight(lambda row: len(row["text"]), 2_000)
    ordered = sort_rows(rows, schema, lambda row: row["text"], tmp_path / "work", weight=weight)
    path = tmp_path / "a.parquet"
    write_parquet(ordered, path, schema, sorted_by=("text",), weight=weight)
    assert [row["text"] for row in read_rows(path)] == sorted(row["text"] for row in rows)
    groups = [table.column("text").to_pylist() for table in read_groups(path, schema)]
    assert max(sum(map(len, group[:-1])) for group in groups) < 2_000
    assert len(groups) > 10
    assert list((tmp_path / "work").iterdir()) == []


def test_every_way_of_reading_notices_a_changed_page(tmp_path: Path) -> None:
    """A flipped bit in stored text can give other text of the same length: only a checksum tells."""
    path = tmp_path / "table.parquet"
    write_parquet(rows(50), path, SCHEMA)
    content = path.read_bytes()
    place = pq.ParquetFile(path).metadata.row_group(0).column(0)
    position = (place.dictionary_page_offset or place.data_page_offset) + place.total_compressed_size - 3
    path.write_bytes(content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :])
    ways: list[Callable[[], object]] = [
        lambda: list(read_rows(path)),
        lambda: list(read_groups(path, SCHEMA)),
        lambda: read_columns(path, ["id"]),
    ]
    for read in ways:
        with pytest.raises(ParquetError, match=r"table\.parquet: damaged Parquet file .*CRC"):
            read()


def test_whole_columns_are_read_in_the_order_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "table.parquet"
    write_parquet(rows(3), path, SCHEMA)
    assert read_columns(path, ["text", "id"]).column_names == ["text", "id"]
    with pytest.raises(ParquetError, match="no column 'grade'"):
        read_columns(path, ["grade"])
