"""Stages as Prefect tasks: one cache policy, one way to call.

A stage is written as a plain function `body(build, config)` and decorated:

    DATASET = Stage("dataset", version=1, kind="dataset")

    @stage_task(DATASET)
    def write_dataset(build: Build, config: DatasetConfig) -> None: ...

    ref = write_dataset(config, runtime, kept=kept_ref)
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

from prefect import task
from prefect.cache_policies import CachePolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext
from prefect.logging import get_run_logger
from prefect.states import Completed
from prefect.tasks import Task
from prefect.utilities.annotations import opaque

from tasks.errors import Permanent
from tasks.logs import errors_without_passwords
from tasks.spine.stage.call import Body, Stage, StageCall
from tasks.spine.stage.context import run_context
from tasks.spine.stage.progress import PrefectWatcher
from tasks.spine.stage.stage import ensure
from tasks.spine.stage.training_slot import training_slot
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.tracking.journal import StageRecord

LABEL_DIGITS = 8
"""Digits of the key that stand in for a label, where nobody named what is made."""


@dataclass
class StageKey(CachePolicy):
    """The one cache policy: a stage's fingerprint. Prefect's own policies collide across tasks or miss helpers."""

    name: str = ""
    version: int = 0

    def compute_key(
        self, task_ctx: TaskRunContext, inputs: dict[str, Any], flow_parameters: dict[str, Any], **kwargs: Any
    ) -> str | None:
        """Key of one call; `runtime`, `force` and `label` cannot enter it."""
        return f"{self.name}-v{self.version}-{inputs['call'].key}"


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
        context = run_context()
        call = StageCall(self.stage, self.body, config, runtime, parents, force, label)
        if context.visitor is not None:
            return context.visitor.visit(call)
        journal = context.journal
        if call.force and journal is not None and any(record.manifest.fingerprint == call.key for record in journal):
            call = replace(call, force=False)
        ref, hit = self._submit(call, refresh=call.force)
        # A result that an earlier version of the project kept may not be read as a reference any more.
        manifest = context.store.find(ref.kind, ref.fingerprint) if isinstance(ref, ArtifactRef) else None
        if manifest is None or manifest.digest != ref.digest:
            ref, hit = self._submit(call, refresh=True)
            manifest = context.store.manifest(ref)
        context.note(StageRecord(self.stage.name, manifest, hit, label))
        return ref

    def _submit(self, call: StageCall, refresh: bool) -> tuple[ArtifactRef, bool]:
        label = call.label or call.key[:LABEL_DIGITS]
        # Opaque: Prefect would take words in it for results that hold the same word, and draw edges from those.
        asked = {"call": opaque(call), "label": label, "wait_for": [edge_from(ref) for ref in call.parents.values()]}
        state = self._task.with_options(refresh_cache=refresh)(**asked, return_state=True)
        return state.result(), state.name in ("Cached", "Reused")

    def _run(self, call: StageCall, label: str) -> State[ArtifactRef]:
        context = run_context()
        watcher = PrefectWatcher(call.stage, context.tracker, get_run_logger(), label)
        trains = call.stage.trains and (call.force or context.store.find(call.stage.kind, call.key) is None)
        # The slot before the lease: whoever waited with a lease for a slot would keep others waiting on other hosts.
        with errors_without_passwords(), training_slot(context.settings) if trains else nullcontext():
            outcome = ensure(call, watcher=watcher, settings=context.settings)
        return Completed(name="Reused" if outcome.hit else "Built", data=outcome.manifest.ref)


def edge_from(ref: ArtifactRef) -> str:
    """What to have a Prefect run wait for, so that its graph shows an edge from the run that returned `ref`.

    Prefect knows results by the identity of their parts, and of these the fingerprint is no word that others hold too.
    """
    return ref.fingerprint


STAGES: dict[str, Stage] = {}
"""Every stage whose room was imported, by name: what it says of itself is read here, nowhere written again."""


def stage_task(stage: Stage) -> Callable[[Body], StageTask]:
    """Turn a stage's body into a task that is cached by its fingerprint; one stage may make things of two kinds."""
    STAGES.setdefault(stage.name, stage)
    return lambda body: StageTask(stage, body)
