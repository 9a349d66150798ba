"""Stages as runs of their own deployments, each on the pool that suits it, with the cache and lineage of inline ones.

The store is what the runs share: whether a stage is due, and what came of it, is read there, so that Prefect's results
need no storage in common. A run is asked for under a key of what it is to make: whoever asks again while it is under
way, after a restart or from another pipeline, waits for the same run.
"""

import itertools
import logging
import math
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.objects import FlowRun
from prefect.deployments import run_deployment
from prefect.exceptions import ObjectNotFound
from prefect.states import Cancelling, StateType

from flows.progress.page import progress_of
from flows.server.automations import awaits_restart
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.spine.stage.context import run_context
from tasks.spine.stage.launch import check_stop
from tasks.spine.stage.plan import PlannedStage, planning
from tasks.spine.stage.prefect_retry import retry_while_unreachable
from tasks.spine.stage.threads import told_to_end
from tasks.spine.store.fingerprint import digest_text
from tasks.spine.store.ref import SHORT, ArtifactRef
from tasks.spine.store.settings import STARTED_BY_WORKER
from tasks.spine.tracking.course import StageProgress
from tasks.spine.tracking.journal import StageRecord
from tasks.spine.tracking.tracker import PARENT_TAG

log = logging.getLogger(__name__)

POLL_S = 1.0
LOOK_EVERY_S = 5.0
"""Between two looks at the progress of a stage. Ours: there may be many at once, and the server has other work."""
LATE_S = 60.0
"""A run that no worker has begun after this time is worth a warning."""


def deployment_of(stage: str) -> str:
    """The deployment of a stage, as flow/deployment: both are named as the stage."""
    return f"{stage}/{stage}"


def is_dispatched(parameters: dict[str, Any]) -> bool:
    """Whether the settings of a stage call ask for a run of its own."""
    return _settings(parameters).runtime.dispatch == "deployments"


def dispatch(stage_flow: Flow[..., ArtifactRef], parameters: dict[str, Any]) -> ArtifactRef:
    """A stage's artifact: from the store, or by a run of the stage's deployment.

    Raises:
        ValueError: the server has no such deployment.
        RuntimeError: the run ended without the artifact.
    """
    ref, before = _walk(stage_flow, parameters)
    passed = before
    if ref is None:
        ref = _run(stage_flow, parameters, before)
        _, passed = _walk(stage_flow, {**parameters, "force": False})
    _note(passed, before)
    return ref


def _settings(parameters: dict[str, Any]) -> Recipe:
    return load(Recipe, parameters["recipe"], parameters.get("overrides"))


def _walk(
    stage_flow: Flow[..., ArtifactRef], parameters: dict[str, Any]
) -> tuple[ArtifactRef | None, list[PlannedStage]]:
    """The stage's artifact if the store has it, and the stage calls on the way to it."""
    with planning(run_context().store) as plan:
        ref = stage_flow.fn(**parameters)
    return (ref if plan.rows[-1].verdict == "hit" else None), plan.rows


def _note(rows: list[PlannedStage], before: list[PlannedStage]) -> None:
    """Put the stages that a run passed into the pipeline's journal."""
    context = run_context()
    served = {row.ref.fingerprint for row in before if row.verdict == "hit"}
    for row in rows:
        context.note(StageRecord(row.stage, context.store.manifest(row.ref), row.ref.fingerprint in served, row.label))


@dataclass
class _Progress:
    """Tells the pipeline's course how a stage fares that a run elsewhere builds."""

    row: PlannedStage
    _step: StageProgress | None = None
    _looked_at: float = -math.inf

    def look(self, run: FlowRun, client: SyncPrefectClient) -> None:
        """Pass on what the run has said last."""
        course = run_context().course
        if course is None or run.state is None or not run.state.is_running():
            return
        self._step = self._step or course.begin(self.row.ref.fingerprint, self.row.stage, self.row.label)
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = time.monotonic()
        try:
            line = progress_of(run.id, self.row.stage, client)
        except Exception as error:
            log.debug("no progress of %s: %s", self.row.stage, error)
            return
        if line is not None:
            course.advance(self._step, line)


def _run(stage_flow: Flow[..., ArtifactRef], parameters: dict[str, Any], rows: list[PlannedStage]) -> ArtifactRef:
    """Ask for a run until one makes the artifact; one that had ended before this call is not an answer."""
    name, key = deployment_of(stage_flow.name), _key(rows, bool(parameters.get("force")))
    overrides = {**(parameters.get("overrides") or {}), "runtime.dispatch": "inline"}
    for attempt in itertools.count(1):
        run = _start(name, {**parameters, "overrides": overrides}, f"{key}-{attempt}")
        had_ended = run.state is not None and run.state.is_final() and not awaits_restart(run)
        run = _wait(run, name, _Progress(rows[-1]))
        ref, _ = _walk(stage_flow, {**parameters, "force": False})
        if run.state is not None and run.state.is_completed() and ref is not None:
            return ref
        if not had_ended:
            raise RuntimeError(_why(name, run))
    raise AssertionError("unreachable")


def _key(rows: list[PlannedStage], force: bool) -> str:
    """What the run is to make; a forced one is of this pipeline run alone."""
    forced = [os.environ.get(STARTED_BY_WORKER, str(os.getpid()))] if force else []
    return digest_text(" ".join([*(row.ref.fingerprint for row in rows), *forced]))[:SHORT]


def _why(name: str, run: FlowRun) -> str:
    assert run.state is not None
    if run.state.is_completed():
        return (
            f"{name}: run {run.name} ({run.id}) completed, but what it made is not in the store "
            f"{run_context().store.files.uri}; give this run and the workers the same MIDTRAIN_STORE"
        )
    return f"{name}: run {run.name} ({run.id}) ended as {run.state.name}: {run.state.message or 'no message'}"


def _start(name: str, parameters: dict[str, Any], key: str) -> FlowRun:
    """The run of that key: a new one, or the one that somebody asked for before."""
    tracker = run_context().tracker
    outer = tracker.start_pipeline() if tracker else None
    tags = [f"{PARENT_TAG}{outer}"] if outer else []
    try:
        asked = {"parameters": parameters, "idempotency_key": key, "timeout": 0, "tags": tags}
        run = retry_while_unreachable(lambda: run_deployment(name, **asked))
    except ObjectNotFound as error:
        raise ValueError(
            f"runtime.dispatch=deployments: the Prefect server has no deployment {name}; put it there with "
            "`midtrain deploy`, and start workers for the pools cpu and gpu"
        ) from error
    log.info("%s: run %s (%s)", name, run.name, run.id)
    return run


def _wait(run: FlowRun, name: str, progress: _Progress) -> FlowRun:
    """Follow a run to its end; where this pipeline is cancelled meanwhile, the run is too.

    A server that is away for a while is asked again.
    """
    late = time.monotonic() + LATE_S
    with told_to_end(lambda: _cancel_with_pipeline(run.id)):
        while True:
            with suppress(httpx.TransportError), get_client(sync_client=True) as client:
                run = client.read_flow_run(run.id)
                progress.look(run, client)
            if run.state is not None and run.state.is_final() and not awaits_restart(run):
                return run
            if run.state is not None and run.state.is_scheduled() and time.monotonic() > late:
                late = math.inf
                log.warning("%s: no worker of pool %s has begun run %s yet", name, run.work_pool_name, run.name)
            check_stop()
            time.sleep(POLL_S)


def _cancel_with_pipeline(run_id: UUID) -> None:
    """Cancel a run if this pipeline was cancelled, in Prefect or by Ctrl-C on the command line.

    A pipeline that is ended otherwise, because its machine or its worker goes down, leaves the run alone: it finds it
    again when it is started again.
    """
    own = os.environ.get(STARTED_BY_WORKER)
    with suppress(httpx.HTTPError), get_client(sync_client=True) as client:
        if own is None or _is_cancelled(client, UUID(own)):
            client.set_flow_run_state(run_id, Cancelling(message="The pipeline that asked for it was cancelled."))


def _is_cancelled(client: SyncPrefectClient, run_id: UUID) -> bool:
    state = client.read_flow_run(run_id).state
    return state is not None and state.type in (StateType.CANCELLING, StateType.CANCELLED)
