"""Stores that tests only read."""

import pytest

from tests.support.report_worlds import World, build_world


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    """One seed of both arms."""
    return build_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="session")
def three_seeds(tmp_path_factory: pytest.TempPathFactory) -> World:
    """Three seeds of both arms on one benchmark."""
    return build_world(tmp_path_factory.mktemp("three"), seeds=(0, 1, 2), benchmarks={"tiny-test": 80})
