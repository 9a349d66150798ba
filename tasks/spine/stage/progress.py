"""A build's progress where people look: the log, Prefect's pages, MLflow."""

import logging
import re
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from prefect.artifacts import create_link_artifact, update_progress_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.context import TaskRunContext

from tasks.spine.stage.call import Stage
from tasks.spine.stage.context import run_context
from tasks.spine.stage.stage import Build
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import Store
from tasks.spine.tracking.tracker import Tracker
from tasks.text import in_markdown

LOG_EVERY_S = 10.0
SHOW_EVERY_S = 2.0
MLFLOW = "mlflow"
"""Key of the link artifacts from a run of Prefect's to one of MLflow's."""


@dataclass
class PrefectWatcher:
    """Shows a build's progress in the log and as Prefect progress artifacts, and passes metrics to MLflow."""

    stage: Stage
    tracker: Tracker | None
    logger: logging.Logger | logging.LoggerAdapter[Any]
    label: str = ""
    """What people call what is being made."""
    _store: Store | None = None
    _run_id: str | None = None
    _artifacts: list[UUID] = field(default_factory=list)
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
            for artifact in self._artifacts:
                update_progress_artifact(artifact, progress=share, description=text)
            self._artifacts = self._artifacts or self._begin(share, text)
        except Exception as error:
            self.logger.debug("no progress artifact: %s", error)

    def _begin(self, share: float, text: str) -> list[UUID]:
        """A progress artifact on the stage's own page, and another on that of the pipeline."""
        key = re.sub("[^a-z0-9]+", "-", f"progress {self.title}".lower()).strip("-")
        context = TaskRunContext.get()
        own = context.task_run if context else None
        places = [{"flow_run_id": own.flow_run_id, "task_run_id": own.id}] if own else []
        run = run_context().flow_run_id
        if run is not None and (own is None or run != own.flow_run_id):
            places.append({"flow_run_id": run})
        with get_client(sync_client=True) as client:
            new = {"type": "progress", "key": key, "data": share, "description": text}
            return [client.create_artifact(ArtifactCreate(**new, **place)).id for place in places]

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
