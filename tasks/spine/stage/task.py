"""Stages as Prefect tasks: one cache policy, one way to call.

A stage is written as a plain function `body(build, config)` and decorated:

    DATASET = Stage("dataset", version=1, kind="dataset")

    @stage_task(DATASET)
    def write_dataset(build: Build, config: DatasetConfig) -> None: ...

    ref = write_dataset(config, runtime, kept=kept_ref)
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.states import Completed
from prefect.tasks import Task

from tasks.errors import Permanent
from tasks.spine.stage.plan import current_visitor
from tasks.spine.stage.progress import PrefectWatcher
from tasks.spine.stage.stage import Body, Stage, ensure
from tasks.spine.stage.training_slot import training_slot
from tasks.spine.store.fingerprint import fingerprint
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import Store
from tasks.spine.tracking.journal import Passed, journal
from tasks.spine.tracking.tracker import current_tracker


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
        if notes is not None and any(passed.manifest.fingerprint == key for passed in notes):
            force = False
        arguments = {"config": config, "parents": parents, "runtime": runtime, "force": force}
        named = label or key[:8]
        ref, hit = self._call(force, label=named, **arguments)
        store = Store.open()
        manifest = store.find(ref.kind, ref.fingerprint)
        if manifest is None or manifest.digest != ref.digest:
            ref, hit = self._call(True, label=named, **arguments)
            manifest = store.manifest(ref)
        if notes is not None:
            notes.append(Passed(self.stage.name, manifest, hit, label))
        return ref

    def _call(self, refresh: bool, **arguments: Any) -> tuple[ArtifactRef, bool]:
        state = self._task.with_options(refresh_cache=refresh)(**arguments, return_state=True)
        return state.result(), state.name in ("Cached", "Reused")

    def _run(
        self, config: Any, parents: dict[str, ArtifactRef], runtime: Runtime, force: bool, label: str
    ) -> State[ArtifactRef]:
        watcher = PrefectWatcher(self.stage, current_tracker(), get_run_logger(), label)
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
