"""Held-out documents, their entropy under a base model, and another checkpoint."""

from collections.abc import Iterator

import pytest

from tests.support.held_out import Held, held_out


@pytest.fixture(scope="module")
def held(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Held]:
    """A store with all of that."""
    with held_out(tmp_path_factory.mktemp("home")) as held:
        yield held
