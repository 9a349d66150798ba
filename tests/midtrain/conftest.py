"""A small dataset."""

from pathlib import Path

import pytest

from tests.support.training_rows import make_rows, write_rows


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """`train.parquet` of 20 rows."""
    return write_rows(tmp_path / "train.parquet", make_rows(20))
