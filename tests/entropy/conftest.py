"""A store in which stages run bare."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tasks.spine.store.store import Store
from tests.support import bare_home as support


@pytest.fixture
def bare_home(tmp_path: Path) -> Iterator[Store]:
    """A store of its own; stages run bare."""
    with support.bare_home(tmp_path / "home"):
        yield Store.open()
