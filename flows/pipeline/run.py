"""What all flows share: one pipeline run around them, stage flows that `plan` can walk, references as text."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from prefect import Flow, Task
from prefect.context import FlowRunContext
from pydantic import JsonValue

from flows.pipeline.dispatch import dispatch, is_dispatched
from flows.pipeline.pages import current_flow_run, flow_run_link, show_link, show_stages
from tasks.spine.stage.plan import Plan, current_visitor
from tasks.spine.stage.prefect_retry import patiently
from tasks.spine.stage.progress import pipeline_run
from tasks.spine.store.fingerprint import canonical_json
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store
from tasks.spine.tracking.journal import Passed, journal
from tasks.spine.tracking.tracker import PARENT_TAG, Tracker, current_tracker, tracking

FLOW_OPTIONS: dict[str, Any] = {"persist_result": True, "result_serializer": "json"}
"""Results of flows are references, kept as JSON so that a parent on another machine can read them."""


_called: ContextVar[dict[str, Any] | None] = ContextVar("called", default=None)
R = TypeVar("R")
SUBFLOWS_OF_A_START = 1000
"""More than any start of a run has subflows of one kind."""


def call(stage_flow: Flow[..., R], **parameters: Any) -> R:
    """Run a stage flow, as a subflow or as a run of its own, once in a pipeline run for the same parameters.

    Where a visitor takes the stage calls, the flow's code is walked without Prefect. A Prefect server that goes away
    meanwhile is waited for; what the subflow had made is in the store.
    """
    if current_visitor() is not None:
        return stage_flow.fn(**parameters)
    _forget_earlier_starts(stage_flow)
    called = _called.get()
    key = canonical_json([stage_flow.name, parameters])
    if called is None:
        return patiently(lambda: stage_flow(**parameters))
    if key not in called:
        spread = is_dispatched(parameters)
        called[key] = dispatch(stage_flow, parameters) if spread else patiently(lambda: stage_flow(**parameters))
    return called[key]


def _forget_earlier_starts(stage_flow: Flow[..., Any]) -> None:
    """Have a restarted run ask the store again what its subflows made.

    Prefect would hand it what its n-th subflow of this kind returned before the crash: as plain JSON, from a file that
    another host may not have, whatever the parameters are now.
    """
    parent = FlowRunContext.get()
    if parent is not None and parent.flow_run is not None and parent.flow_run.run_count > 1:
        first = SUBFLOWS_OF_A_START * (parent.flow_run.run_count - 1)
        parent.task_run_dynamic_keys.setdefault(Task(stage_flow.fn).task_key, first)


def with_given(overrides: Mapping[str, JsonValue], given: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Overrides with those of a form's own fields on top that were filled in."""
    return {**overrides, **{key: value for key, value in given.items() if value not in ("", None)}}


def reference(name: str) -> ArtifactRef:
    """The artifact that a flow parameter names; while planning, it may be one that is not there yet."""
    plan = current_visitor()
    missing = plan.missing.get(name) if isinstance(plan, Plan) else None
    return missing or Store.open().ref(name)


@contextmanager
def pipeline(name: str, tags: Mapping[str, str]) -> Iterator[list[Passed]]:
    """One pipeline run: a journal of the stages passed, and an MLflow parent run if any of them is built.

    Yields the journal. Inside another pipeline the outer one's journal and run go on.
    """
    notes = journal.get()
    if notes is not None and current_tracker() is not None:
        yield notes
        return
    notes = [] if notes is None else notes
    before = len(notes)
    run = current_flow_run()
    tokens = [
        (journal, journal.set(notes)),
        (_called, _called.set({})),
        (pipeline_run, pipeline_run.set(run.id if run else None)),
    ]
    tracker = Tracker(
        name, {**tags, **_flow_run_tags()}, note=flow_run_link(), opened=show_link, parent_run_id=_outer_run()
    )
    failed = True
    try:
        with tracking(tracker):
            yield notes
        failed = False
        show_stages(notes[before:], tracker)
    finally:
        for variable, token in tokens:
            variable.reset(token)
        tracker.finish_pipeline(notes, failed)


def _flow_run_tags() -> dict[str, str]:
    run = current_flow_run()
    return {"prefect.flow_run_id": str(run.id), "prefect.flow_run_name": run.name} if run else {}


def _outer_run() -> str | None:
    """The MLflow run of the pipeline that this run is a stage of, where that is another Prefect run."""
    run = current_flow_run()
    return next((tag.removeprefix(PARENT_TAG) for tag in run.tags if tag.startswith(PARENT_TAG)), None) if run else None
