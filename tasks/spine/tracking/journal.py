"""The journal of a pipeline run: each stage in its turn, built or served from the store."""

from collections.abc import Iterable
from typing import NamedTuple

from tasks.spine.store.manifest import Manifest


class StageRecord(NamedTuple):
    """One call of a stage."""

    stage: str
    manifest: Manifest
    hit: bool
    """It was served from the store."""
    label: str = ""
    """What people call what was made, e.g. the model of an arm."""


def once(records: Iterable[StageRecord]) -> list[StageRecord]:
    """Each artifact as it was first passed: what was built now is served from the store to those who ask later."""
    first: dict[str, StageRecord] = {}
    for record in records:
        first.setdefault(record.manifest.fingerprint, record)
    return list(first.values())
