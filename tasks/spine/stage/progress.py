"""A build's progress where people look: the log, Prefect's pages, MLflow."""

import logging
import re
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.artifacts import create_link_artifact, create_progress_artifact, update_progress_artifact
from prefect.context import TaskRunContext

from tasks.spine.stage.call import Stage
from tasks.spine.stage.context import run_context
from tasks.spine.stage.launch import OnLine
from tasks.spine.stage.stage import Build
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import Store
from tasks.spine.tracking.course import StageProgress
from tasks.spine.tracking.tracker import Tracker
from tasks.text import in_markdown

LOG_EVERY_S = 10.0
SHOW_EVERY_S = 2.0
MLFLOW = "mlflow"
"""Key of the link artifacts from a run of Prefect's to one of MLflow's."""


@dataclass
class PrefectWatcher:
    """Shows a build's progress on its own page in Prefect, tells the run's course, and passes metrics to MLflow."""

    stage: Stage
    tracker: Tracker | None
    logger: logging.Logger | logging.LoggerAdapter[Any]
    label: str = ""
    """What people call what is being made."""
    on_progress: OnLine | None = None
    """Told of each progress line, in place of a stage of the course: what is watched is a part of one."""
    _store: Store | None = None
    _run_id: str | None = None
    _step: StageProgress | None = None
    _artifact: UUID | None = None
    _logged_at: float = 0.0
    _shown_at: float = 0.0
    _pending: list[dict[str, Any]] = field(default_factory=list)

    @property
    def title(self) -> str:
        """Stage and label, for people."""
        return f"{self.stage.name}: {self.label}" if self.label else self.stage.name

    def started(self, build: Build) -> str | None:
        self._store = build.store
        call = build.call
        self._run_id = self.tracker and self.tracker.start_stage(
            call.stage.name, call.key, call.config, call.parents, build.store, self.label
        )
        self._logged_at = time.monotonic()
        course = run_context().course
        self._step = course.begin(call.key, call.stage.name, call.label) if course else None
        self._link()
        return self._run_id

    def _link(self) -> None:
        """From the stage's task run to its MLflow run."""
        page = self.tracker.page(self._run_id) if self.tracker and self._run_id else None
        if page:
            try:
                create_link_artifact(
                    page, f"{in_markdown(self.title)} in MLflow", key=MLFLOW, description="Settings, curves, lineage"
                )
            except Exception as error:
                self.logger.debug("no link to MLflow: %s", error)

    def progress(self, line: dict[str, Any]) -> None:
        course = run_context().course
        if self.on_progress:
            self.on_progress(line)
        elif course and self._step:
            course.advance(self._step, line)
        now, share = time.monotonic(), 100.0 * line["done"] / max(line["total"], 1)
        values = "".join(f", {key} {value:.4g}" for key, value in line["values"].items())
        text = f"{line['done']}/{line['total']} {line['unit']}"
        if now - self._shown_at >= SHOW_EVERY_S or share >= 100:
            self._show(share, f"{in_markdown(self.title)}: {text}{values}")
            self._shown_at = now
        if now - self._logged_at >= LOG_EVERY_S or share >= 100:
            self.logger.info("%s: %s%s", self.stage.name, text, values)
            self._logged_at = now

    def _show(self, share: float, text: str) -> None:
        try:
            if self._artifact is None:
                self._artifact = self._begin(share, text)
            else:
                update_progress_artifact(self._artifact, progress=share, description=text)
        except Exception as error:
            self.logger.debug("no progress artifact: %s", error)

    def _begin(self, share: float, text: str) -> UUID | None:
        """A progress artifact on the stage's own page; that of a pipeline has one for all its stages."""
        context = TaskRunContext.get()
        own = context.task_run if context else None
        if own is None or own.flow_run_id == run_context().flow_run_id:
            return None
        key = re.sub("[^a-z0-9]+", "-", f"progress {self.title}".lower()).strip("-")
        return create_progress_artifact(share, key=key, description=text)

    def metrics(self, line: dict[str, Any]) -> None:
        self._pending.append(line)
        if line["time"] - self._pending[0]["time"] >= SHOW_EVERY_S:
            self._flush()

    def _flush(self) -> None:
        if self.tracker and self._run_id and self._pending:
            self.tracker.log_metrics(self._run_id, self._pending)
        self._pending = []

    def finished(self, manifest: Manifest | None) -> None:
        self._flush()
        if self.tracker and self._run_id and self._store:
            self.tracker.finish_stage(self._run_id, manifest, self._store, self.label)
