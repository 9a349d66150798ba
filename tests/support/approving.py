"""A person who looks at what a paused run waits for, and resumes it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import Any

from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter
from prefect.flow_runs import resume_flow_run

WAIT_S = 240
"""Bound of the wait for a pause: a run may make several stages before it asks."""


@dataclass
class Approvals:
    """What a person saw of each run that asked, before it was resumed."""

    pages: list[str] = field(default_factory=list)
    seen: list[Any] = field(default_factory=list)


@contextmanager
def resumed_by_a_person(look: Callable[[], Any] = lambda: None) -> Iterator[Approvals]:
    """Within, the first run that pauses is resumed; `look` tells what there is while it waits."""
    given, left = Approvals(), threading.Event()

    def resume() -> None:
        paused = FlowRunFilter.model_validate({"state": {"type": {"any_": ["PAUSED"]}}})
        until = time.monotonic() + WAIT_S
        with get_client(sync_client=True) as client:
            while time.monotonic() < until and not left.is_set():
                for run in client.read_flow_runs(flow_run_filter=paused):
                    own = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run.id]}})
                    given.pages.extend(str(item.data) for item in client.read_artifacts(artifact_filter=own))
                    try:
                        given.seen.append(look())
                    finally:
                        resume_flow_run(run.id)
                    return
                time.sleep(0.2)

    # Prefect's settings are those of a context, which a thread does not have of itself.
    person = threading.Thread(target=copy_context().run, args=[resume])
    person.start()
    try:
        yield given
    finally:
        left.set()
        person.join()
