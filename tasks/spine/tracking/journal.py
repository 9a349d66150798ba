"""What a pipeline run has passed so far: each stage in its turn, built or served from the store."""

from collections.abc import Iterable
from contextvars import ContextVar
from typing import NamedTuple

from tasks.spine.store.manifest import Manifest


class Passed(NamedTuple):
    """One call of a stage."""

    stage: str
    manifest: Manifest
    hit: bool
    """It was served from the store."""
    label: str = ""
    """What people call what was made, e.g. the model of an arm."""


journal: ContextVar[list[Passed] | None] = ContextVar("journal", default=None)
"""Where the running pipeline notes what it passes; None outside of one."""


def once(stages: Iterable[Passed]) -> list[Passed]:
    """Each artifact as it was first passed: what was built now is served from the store to those who ask later."""
    found: dict[str, Passed] = {}
    for passed in stages:
        found.setdefault(passed.manifest.fingerprint, passed)
    return list(found.values())
