"""Prompts of small RL jobs."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from tasks.dataset.schema import RL
from tasks.rl.config import RLJob

MakeJob = Callable[..., RLJob]
QUESTIONS = 10


def write_prompts(path: Path, rows: list[dict[str, Any]]) -> Path:
    """Write RL rows as Parquet and return the path."""
    pq.write_table(pa.Table.from_pylist(rows, schema=RL), path)
    return path
