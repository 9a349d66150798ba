"""Real small models for the engines."""

from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.talking_model import save_talking_model


@pytest.fixture(scope="session")
def talking_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose completions end after about 24 tokens."""
    return save_talking_model(tmp_path_factory.mktemp("talking"))


@pytest.fixture(scope="session")
def tiny_model() -> Path:
    """The base model of the small world, which writes sensible text that ends."""
    return ROOT / "tasks" / "tiny" / "model"
