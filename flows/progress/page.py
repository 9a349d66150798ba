"""A run's progress on the page of its pipeline: a line in the log for each stage, and one progress artifact."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import ArtifactCreate, ArtifactUpdate
from prefect.client.schemas.filters import ArtifactFilter
from prefect.logging import get_run_logger

from tasks.spine.stage.context import run_context
from tasks.spine.tracking.course import Course, StageProgress
from tasks.text import in_markdown

log = logging.getLogger(__name__)

PROGRESS = "progress"
"""Key of the artifact."""
LINE = "line"
"""Key of its metadata with the stage and its last progress line as JSON, for a pipeline that waits for this run."""
SHOW_EVERY_S = 2.0


@contextmanager
def shown_on_page(course: Course) -> Iterator[None]:
    """Within, what the stages of a run do is shown on the page of its pipeline; nothing where it has none.

    The progress goes when the run is through, as Prefect's page lists artifacts in no order and results are what is
    looked for there; of a run that failed it stays, to say how far that came.
    """
    run = run_context().flow_run_id
    if run is None or run_context().visitor is not None:
        yield
        return
    page = _Page(course, run, get_run_logger())
    course.followers.append(page)
    try:
        yield
        page.clear()
    finally:
        course.followers.remove(page)


def progress_of(run: UUID, stage: str, client: SyncPrefectClient) -> dict[str, Any] | None:
    """The last progress line of a stage that another run builds, if that has said anything of it."""
    chosen = ArtifactFilter.model_validate({"flow_run_id": {"any_": [run]}, "key": {"any_": [PROGRESS]}})
    for artifact in client.read_artifacts(artifact_filter=chosen):
        line = json.loads((artifact.metadata_ or {}).get(LINE, "{}"))
        if line.pop("stage", None) == stage and line["total"]:
            return line
    return None


@dataclass
class _Page:
    """Follows a run."""

    course: Course
    run: UUID
    logger: logging.Logger | logging.LoggerAdapter[Any]
    _artifact: UUID | None = None
    _shown_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def began(self, step: StageProgress) -> None:
        self._show(step)

    def advanced(self, step: StageProgress) -> None:
        if time.monotonic() - self._shown_at >= SHOW_EVERY_S:
            self._show(step)

    def ended(self, step: StageProgress) -> None:
        self.logger.info("%s", step.line)
        if time.monotonic() - self._shown_at >= SHOW_EVERY_S:
            self._show(step)

    def _show(self, step: StageProgress) -> None:
        """The share of the run that is done, and what it is at; a server that cannot be asked is asked again later."""
        with self._lock:
            self._shown_at = time.monotonic()
            line = json.dumps({"stage": step.stage, **step.reported})
            now = {"data": 100 * self.course.share, "description": in_markdown(step.line), "metadata_": {LINE: line}}
            try:
                with get_client(sync_client=True) as client:
                    if self._artifact is None:
                        new = ArtifactCreate(type="progress", key=PROGRESS, flow_run_id=self.run, **now)
                        self._artifact = client.create_artifact(new).id
                    else:
                        client.update_artifact(self._artifact, ArtifactUpdate(**now))
            except Exception as error:
                log.debug("no progress artifact: %s", error)

    def clear(self) -> None:
        """Take the progress away."""
        if self._artifact is not None:
            try:
                with get_client(sync_client=True) as client:
                    client.delete_artifact(self._artifact)
            except Exception as error:
                log.debug("the progress artifact stays: %s", error)
