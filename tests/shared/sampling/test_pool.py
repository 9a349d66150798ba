"""The pool: whole batches or none, found by key, mended when damaged."""

import contextlib
import resource
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tasks.shared.sampling.pool import Pool, PoolDamaged, SamplesMissing
from tests.support.paths import ROOT
from tests.support.pool_rows import row


def wanted(*keys: str) -> list[dict[str, Any]]:
    return [{"key": key, "question_id": f"q-{key}", "heuristic": "analogy", "sample_index": 0} for key in keys]


@pytest.fixture
def pool(tmp_path: Path) -> Pool:
    return Pool(str(tmp_path / "pool"))


def files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "pool").iterdir())


def test_rows_come_back_in_the_order_asked_for(pool: Pool, tmp_path: Path) -> None:
    pool.write([row("b"), row("d")])
    pool.write([row("c"), row("a")])
    found = list(pool.ordered(lambda: wanted("d", "a", "c"), pool.scan(), tmp_path))
    assert [item["completion"] for item in found] == ["text of d", "text of a", "text of c"]
    assert [item["question_id"] for item in found] == ["q-d", "q-a", "q-c"]


def test_an_empty_pool_holds_nothing(pool: Pool, tmp_path: Path) -> None:
    assert pool.scan().batch_of == {}
    assert list(pool.ordered(list, pool.scan(), tmp_path)) == []


def test_missing_samples_are_named(pool: Pool, tmp_path: Path) -> None:
    pool.write([row("a")])
    with pytest.raises(SamplesMissing, match=r"1 samples .* question q-z under 'analogy' #0"):
        list(pool.ordered(lambda: wanted("a", "z"), pool.scan(), tmp_path))


@pytest.mark.parametrize("range_rows", [1, 7, 99, 1000])
def test_scattered_rows_are_put_in_order_by_reading_each_batch_once(
    pool: Pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, range_rows: int
) -> None:
    """However few rows are held at once: reading batches again for every few rows is quadratic."""
    monkeypatch.setattr("tasks.shared.sampling.placing.RANGE_ROWS", range_rows)
    keys = [f"{index:03d}" for index in range(100)]
    for start in range(12):
        pool.write([row(key) for key in keys[start::12]])
    reads: list[str] = []
    read = pool._read
    monkeypatch.setattr(pool, "_read", lambda name: [reads.append(name), read(name)][1])
    asked = [*reversed(keys), "007"]
    found = list(pool.ordered(lambda: wanted(*asked), pool.scan(), tmp_path))
    assert [item["key"] for item in found] == asked
    assert [item["completion"] for item in found] == [f"text of {key}" for key in asked]
    assert len(reads) == len(set(reads)) == 12
    assert [path.name for path in tmp_path.iterdir()] == ["pool"]


@pytest.mark.parametrize("keep", [0, 3, 10, 500, -1, -9])
def test_a_truncated_batch_is_set_aside_and_the_others_stay(pool: Pool, tmp_path: Path, keep: int) -> None:
    pool.write([row("good")])
    name = pool.write([row(f"{index:03d}") for index in range(100)])
    torn = tmp_path / "pool" / name
    torn.write_bytes(torn.read_bytes()[:keep])
    index = pool.scan()
    assert index.set_aside == [name]
    assert list(index.batch_of) == ["good"]
    assert (tmp_path / "pool" / f"{name}.corrupt").exists()
    assert pool.scan().set_aside == []
    pool.write([row(f"{index:03d}") for index in range(100)])
    assert len(pool.scan().batch_of) == 101


def test_flipped_bits_never_come_back_as_text(pool: Pool, tmp_path: Path) -> None:
    """Wherever one bit is wrong, the batch is either whole to the letter or set aside."""
    keys = [f"{index:03d}" for index in range(40)]
    name = pool.write([row(key) for key in keys])
    path = tmp_path / "pool" / name
    content = path.read_bytes()
    noticed = 0
    for position in range(0, len(content), 7):
        path.write_bytes(
            content[:position] + bytes([content[position] ^ (1 << position % 8)]) + content[position + 1 :]
        )
        index = pool.scan()
        with contextlib.suppress(PoolDamaged, SamplesMissing):
            found = [item["completion"] for item in pool.ordered(lambda: wanted(*keys), index, tmp_path)]
            assert found == [f"text of {key}" for key in keys]
            continue
        noticed += 1
        assert not path.exists()
    assert noticed > 50


def test_one_key_twice_is_resolved_the_same_way_everywhere(tmp_path: Path) -> None:
    texts = set()
    for order in ((1, 2), (2, 1)):
        pool = Pool(str(tmp_path / str(order)))
        batches = {1: [row("a", "one"), row("b", "one")], 2: [row("a", "two"), row("c", "two")]}
        for number in order:
            pool.write(batches[number])
        index = pool.scan()
        assert index.duplicates == 1
        texts.add(next(pool.ordered(lambda: wanted("a"), index, tmp_path))["completion"])
    assert len(texts) == 1


def test_two_writers_at_once_leave_whole_batches(pool: Pool) -> None:
    def write(number: int) -> None:
        for turn in range(20):
            pool.write([row(f"{number}-{turn}-{index}") for index in range(5)] + [row(f"same-{turn}")])

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert pool.scan().set_aside == []
    assert len(pool.scan().batch_of) == 4 * 20 * 5 + 20


FULL_DISK = """
import resource, sys
from tests.support.pool_rows import row
from tasks.shared.sampling.pool import Pool
pool = Pool(sys.argv[1])
pool.write([row("before")])
resource.setrlimit(resource.RLIMIT_FSIZE, (1500, 1500))
try:
    pool.write([row(f"{index:05d}", "x" * index) for index in range(3000)])
except OSError as error:
    print("refused", error.errno)
"""


def test_a_full_disk_loses_the_batch_in_flight_and_nothing_else(tmp_path: Path) -> None:
    """The limit on file size makes the writes fail as those to a full disk do."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "pool")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.startswith("refused"), done.stderr
    index = Pool(str(tmp_path / "pool")).scan()
    assert list(index.batch_of) == ["before"]
    assert index.set_aside == []
    assert [path.suffix for path in files(tmp_path)] == [".parquet"]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1500
