"""A store of the small world for each file of tests."""

from tests.support.small_world import world

__all__ = ["world"]
