"""Small datasets."""

import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.dataset.schema import TRAIN

Rows = list[dict[str, Any]]


def rows_of(pairs: Iterable[tuple[str, str]]) -> Rows:
    """Rows of prompts with their completions."""
    return [
        {"prompt": prompt, "completion": completion, "question_id": f"q{number}", "heuristic": "", "rank": 0}
        for number, (prompt, completion) in enumerate(pairs)
    ]


def make_rows(count: int, seed: int = 0) -> Rows:
    """Prompts and completions of many lengths."""
    rng = random.Random(seed)
    return rows_of(
        (
            "Q: " + "ab " * rng.randint(1, 12) + "\nA:",
            " " + "".join(rng.choice("xyz ") for _ in range(rng.randint(1, 40))),
        )
        for _ in range(count)
    )


def write_rows(path: Path, rows: Rows) -> Path:
    """Write rows as Parquet and return the path."""
    pq.write_table(pa.Table.from_pylist(rows, schema=TRAIN), path)
    return path
