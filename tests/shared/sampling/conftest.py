"""A store of the small world for each file of tests."""

from collections.abc import Iterator

import pytest

from tests.support.small_world import World, small_world


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A home with 10 questions and the base model; stages run bare."""
    with small_world(tmp_path_factory.mktemp("home")) as world:
        yield world
