"""Stages as Prefect tasks: one cache policy, one way to call, progress that people see.

A stage is written as a plain function `body(build, config)` and decorated:

    DATASET = Stage("materialize", version=1, kind="dataset")

    @stage_task(DATASET)
    def materialize(build: Build, config: DatasetConfig) -> None: ...

    ref = materialize(config, runtime, kept=kept_ref)
"""

import logging
import time
from collections.abc import Callable
from contextlib import nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from prefect import task
from prefect.artifacts import create_progress_artifact, update_progress_artifact
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.states import Completed
from prefect.tasks import Task

from tasks.artifacts.fingerprint import fingerprint
from tasks.artifacts.manifest import Manifest
from tasks.artifacts.plan import current_visitor
from tasks.artifacts.ref import ArtifactRef
from tasks.artifacts.runtime import Runtime
from tasks.artifacts.settings import Settings
from tasks.artifacts.slots import training_slot
from tasks.artifacts.stage import Body, Build, Stage, ensure
from tasks.artifacts.store import Store
from tasks.artifacts.tracking import Tracker, current_tracker
from tasks.worker import Permanent

LOG_EVERY_S = 10.0
SHOW_EVERY_S = 2.0

journal: ContextVar[list[tuple[str, Manifest, bool]] | None] = ContextVar("journal", default=None)
"""Where the running pipeline notes each stage it passed: name, manifest, whether it was served from the store."""


@dataclass
class StageKey(CachePolicy):
    """The one cache policy: a stage's fingerprint. Prefect's own policies collide across tasks or miss helpers."""

    name: str = ""
    version: int = 0

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """Key of one call; `runtime` and `force` cannot enter it."""
        key = fingerprint(self.name, self.version, inputs["config"], inputs["parents"])
        return f"{self.name}-v{self.version}-{key}"


def is_transient(task: Task[..., Any], task_run: TaskRun, state: State[Any]) -> bool:
    """Retry what another attempt may mend: not bad configuration, bad data or a programming error."""
    try:
        state.result()
    except (Permanent, ValueError, TypeError, LookupError, AssertionError, NotImplementedError):
        return False
    except Exception:
        return True
    return False


@dataclass
class PrefectWatcher:
    """Shows a build's progress in the log and as a Prefect progress artifact, and passes metrics to MLflow."""

    stage: Stage
    tracker: Tracker | None
    logger: logging.Logger | logging.LoggerAdapter[Any]
    _store: Store | None = None
    _run_id: str | None = None
    _artifact: Any = None
    _logged_at: float = 0.0
    _shown_at: float = 0.0
    _pending: list[dict[str, Any]] = field(default_factory=list)

    def started(self, build: Build) -> str | None:
        self._store = build.store
        self._run_id = self.tracker.start_stage(build) if self.tracker else None
        self._logged_at = time.monotonic()
        return self._run_id

    def progress(self, line: dict[str, Any]) -> None:
        now, share = time.monotonic(), 100.0 * line["done"] / max(line["total"], 1)
        if now - self._shown_at >= SHOW_EVERY_S or share >= 100:
            self._show(share, f"{line['done']}/{line['total']} {line['unit']}")
            self._shown_at = now
        if now - self._logged_at >= LOG_EVERY_S or share >= 100:
            values = "".join(f", {key} {value:.4g}" for key, value in line["values"].items())
            self.logger.info("%s: %d/%d %s%s", self.stage.name, line["done"], line["total"], line["unit"], values)
            self._logged_at = now

    def _show(self, share: float, text: str) -> None:
        try:
            if self._artifact is None:
                key = f"progress-{self.stage.name}"
                self._artifact = create_progress_artifact(progress=share, key=key, description=self.stage.name)
            else:
                update_progress_artifact(self._artifact, progress=share, description=f"{self.stage.name}: {text}")
        except Exception as error:
            self.logger.debug("no progress artifact: %s", error)

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
            self.tracker.finish_stage(self._run_id, manifest, self._store)


class StageTask:
    """A stage that can be called from a flow, planned, or run bare."""

    def __init__(self, stage: Stage, body: Body) -> None:
        self.stage = stage
        self.body = body
        self.__doc__ = body.__doc__
        self._task = task(
            self._run,
            name=stage.name,
            task_run_name=stage.name + "-{label}",
            cache_policy=StageKey(name=stage.name, version=stage.version),
            persist_result=True,
            result_serializer="json",
            retries=2,
            retry_delay_seconds=5,
            retry_condition_fn=is_transient,
        )

    def __call__(
        self, config: Any, runtime: Runtime, *, force: bool = False, label: str = "", **parents: ArtifactRef
    ) -> ArtifactRef:
        """The stage's artifact: from the cache, from the store, or built now.

        `label` names the task run for people. A cached reference whose artifact is gone is refreshed. `force` builds
        the artifact again, once in a pipeline run.
        """
        visitor = current_visitor()
        if visitor is not None:
            return visitor.visit(self.stage, self.body, config, runtime, parents, force)
        key = fingerprint(self.stage.name, self.stage.version, config, parents)
        notes = journal.get()
        if notes is not None and any(manifest.fingerprint == key for _, manifest, _ in notes):
            force = False
        arguments = {"config": config, "parents": parents, "runtime": runtime, "force": force}
        label = label or key[:8]
        ref, hit = self._call(force, label=label, **arguments)
        store = Store.open()
        manifest = store.find(ref.kind, ref.fingerprint)
        if manifest is None or manifest.digest != ref.digest:
            ref, hit = self._call(True, label=label, **arguments)
            manifest = store.manifest(ref)
        if notes is not None:
            notes.append((self.stage.name, manifest, hit))
        return ref

    def _call(self, refresh: bool, **arguments: Any) -> tuple[ArtifactRef, bool]:
        state = self._task.with_options(refresh_cache=refresh)(**arguments, return_state=True)
        return state.result(), state.name in ("Cached", "Reused")

    def _run(
        self, config: Any, parents: dict[str, ArtifactRef], runtime: Runtime, force: bool, label: str
    ) -> State[ArtifactRef]:
        watcher = PrefectWatcher(self.stage, current_tracker(), get_run_logger())
        settings = Settings()
        key = fingerprint(self.stage.name, self.stage.version, config, parents)
        trains = self.stage.trains and (force or Store.open(settings).find(self.stage.kind, key) is None)
        # The slot before the lease: whoever waited with a lease for a slot would keep others waiting on other hosts.
        with training_slot(settings) if trains else nullcontext():
            outcome = ensure(
                self.stage, self.body, config, runtime, parents, watcher=watcher, force=force, settings=settings
            )
        return Completed(name="Reused" if outcome.hit else "Built", data=outcome.manifest.ref)


def stage_task(stage: Stage) -> Callable[[Body], StageTask]:
    """Turn a stage's body into a task that is cached by its fingerprint."""
    return lambda body: StageTask(stage, body)
