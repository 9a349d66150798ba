"""A random model, written once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.spine.stage.context import run_context_with
from tasks.spine.store.store import Store
from tests.bench.bare import Bare
from tests.random_model import save_random_model


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Byte-level tokenizer, context of 1,024."""
    return save_random_model(tmp_path_factory.mktemp("random-model"))


@pytest.fixture
def bare_home(tmp_path: Path) -> Iterator[Store]:
    """A store of its own; stages run bare."""
    with pytest.MonkeyPatch.context() as patch, run_context_with(visitor=Bare()):
        patch.setenv("MIDTRAIN_HOME", str(tmp_path / "home"))
        yield Store.open()
