"""What the code of one run stands on: settings and store, and who follows the run.

One context in one variable. A pipeline enters it, threads get copies of it, and everything below asks for it instead
of reading the environment again. Outside of a pipeline it is made from the environment at each call.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol
from uuid import UUID

from tasks.spine.stage.call import StageCall
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tasks.spine.tracking.course import Course
from tasks.spine.tracking.journal import StageRecord
from tasks.spine.tracking.tracker import Tracker


class Visitor(Protocol):
    """Takes the stage calls of flows that run as plain functions, in Prefect's place."""

    def visit(self, call: StageCall) -> ArtifactRef:
        """Take one stage call; returns its artifact."""
        ...


@dataclass(frozen=True)
class RunContext:
    """Settings, store, and who is told of what the run does."""

    settings: Settings = field(default_factory=Settings)
    visitor: Visitor | None = None
    """Takes stage calls, as a plan does; None where they run as Prefect tasks."""
    journal: list[StageRecord] | None = None
    """Every stage that the running pipeline has passed, in its turn; None outside of one."""
    course: Course | None = None
    """How far the run is, and who follows it; None outside of one."""
    called: dict[str, ArtifactRef] | None = None
    """What stage flows have returned in this pipeline run, by their name and parameters; None outside of one."""
    command: str = ""
    """What starts the running pipeline again, for a shell; empty where no command does."""
    flow_run_id: UUID | None = None
    """Flow run of the pipeline: the page that people open."""
    tracker: Tracker | None = None
    """Writes the pipeline run to MLflow."""
    stop: threading.Event | None = None
    """There in threads beside the main one, which alone gets signals: told to end, it sets the event."""

    @cached_property
    def store(self) -> Store:
        """The artifact store that the settings name."""
        return Store.open(self.settings)

    def note(self, record: StageRecord) -> None:
        """Put a stage that was passed into the journal, and tell those who follow the run."""
        if self.journal is not None:
            self.journal.append(record)
        if self.course is not None:
            self.course.end(record)


_current: ContextVar[RunContext | None] = ContextVar("run_context", default=None)


def run_context() -> RunContext:
    """The context of the run that this code is part of."""
    return _current.get() or RunContext()


def entered_context() -> RunContext | None:
    """The same, or None where no run has entered one: for what asks often and needs nothing of the environment."""
    return _current.get()


@contextmanager
def run_context_with(**changes: Any) -> Iterator[RunContext]:
    """Within, the run's context with some fields changed."""
    context = replace(run_context(), **changes)
    token = _current.set(context)
    try:
        yield context
    finally:
        _current.reset(token)
