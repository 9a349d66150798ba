"""A random model and a small dataset."""

from pathlib import Path

import pytest

from tests.midtrain.rows import make_rows, write_rows
from tests.random_model import save_random_model


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a random Llama with a byte-level tokenizer."""
    return save_random_model(tmp_path_factory.mktemp("model"))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """`train.parquet` of 20 rows."""
    return write_rows(tmp_path / "train.parquet", make_rows(20))
