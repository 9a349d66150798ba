"""A random model, written once."""

from pathlib import Path

import pytest

from tests.random_model import save_random_model


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Byte-level tokenizer, context of 1,024."""
    return save_random_model(tmp_path_factory.mktemp("random-model"))
