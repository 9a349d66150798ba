"""A random model and small datasets."""

import random
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

Rows = list[dict[str, Any]]


def make_rows(count: int, seed: int = 0) -> Rows:
    """Prompts and completions of many lengths."""
    rng = random.Random(seed)
    return [
        {
            "prompt": "Q: " + "ab " * rng.randint(1, 12) + "\nA:",
            "completion": " " + "".join(rng.choice("xyz ") for _ in range(rng.randint(1, 40))),
            "question_id": f"q{i}",
            "heuristic": "",
            "rank": 0,
        }
        for i in range(count)
    ]


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random Llama with a byte-level tokenizer."""
    from tests.random_model import save_random_model

    return save_random_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """`train.parquet` of 20 rows."""
    return write_rows(tmp_path / "train.parquet", make_rows(20))


def write_rows(path: Path, rows: Rows) -> Path:
    """Write rows as Parquet and return the path."""
    columns = ("prompt", "completion", "question_id", "heuristic", "rank")
    pq.write_table(pa.Table.from_pylist(rows, schema=None if rows else _empty(columns)), path)
    return path


def _empty(columns: tuple[str, ...]) -> pa.Schema:
    return pa.schema([(name, pa.string()) for name in columns])
