"""Peak memory of writing the mid-training set, at 10,000 and at 100,000 rows."""

import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tasks.dataset.schema import TRAIN
from tasks.shared.tables.parquet import Row, write_parquet

ROWS = (10_000, 100_000)


def main() -> None:
    """One process per size, so that each has a peak of its own."""
    peaks = {}
    for rows in ROWS:
        done = subprocess.run(
            [sys.executable, "-m", "tests.bench.bench_parquet", str(rows)], capture_output=True, text=True, check=True
        )
        peaks[rows] = float(done.stdout)
        print(f"{rows:7,d} rows to Parquet: peak memory {peaks[rows]:6.0f} MiB")
    print(f"ratio {peaks[ROWS[1]] / peaks[ROWS[0]]:.2f} (target: does not grow with rows)")


def write(rows: int) -> None:
    """Write `rows` solutions of about 2 kB and print the peak of this process, MiB."""
    with tempfile.TemporaryDirectory() as folder:
        write_parquet(_solutions(rows), Path(folder) / "train.parquet", TRAIN)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def _solutions(rows: int) -> Iterator[Row]:
    for index in range(rows):
        yield {
            "prompt": f"Q: question {index // 16}\nA:",
            "completion": f" step {index} " * 150,
            "question_id": f"{index // 16:016x}",
            "heuristic": f"heuristic {index % 16}",
            "rank": index % 16,
        }


if __name__ == "__main__":
    write(int(sys.argv[1])) if sys.argv[1:] else main()
