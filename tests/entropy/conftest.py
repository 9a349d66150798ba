"""A store in which stages run bare."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.spine.stage.context import run_context_with
from tasks.spine.store.store import Store
from tests.bench.bare import Bare


@pytest.fixture
def bare_home(tmp_path: Path) -> Iterator[Store]:
    """A store of its own; stages run bare."""
    with pytest.MonkeyPatch.context() as patch, run_context_with(visitor=Bare()):
        patch.setenv("MIDTRAIN_HOME", str(tmp_path / "home"))
        yield Store.open()
