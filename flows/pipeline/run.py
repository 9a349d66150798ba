"""One pipeline run around the stages, and what a stage flow needs: its settings, its parents, one call of each flow."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Generic, ParamSpec, TypeVar

import prefect
from prefect import Flow, Task
from prefect.context import FlowRunContext
from pydantic import JsonValue

from flows.pipeline.command import current_command
from flows.pipeline.dispatch import dispatch, is_dispatched
from flows.pipeline.forms import without_forms
from flows.pipeline.pages import current_flow_run, flow_run_link, show_link, show_stages
from flows.pipeline.recipes import check_fit
from flows.pipeline.traces import trace_completions
from flows.progress.page import shown_on_page
from tasks.logs import errors_without_passwords, hide_passwords_in_logs
from tasks.recipe.base import Recipe
from tasks.recipe.loading import load
from tasks.shared.models.task import import_model
from tasks.spine.stage.context import run_context, run_context_with
from tasks.spine.stage.plan import Plan, PlannedStage, count_stages, is_missing
from tasks.spine.stage.prefect_retry import retry_while_unreachable
from tasks.spine.stage.task import edge_from
from tasks.spine.store.fingerprint import canonical_json
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.tracking.course import Course
from tasks.spine.tracking.journal import StageRecord
from tasks.spine.tracking.mirror import check_mirror
from tasks.spine.tracking.tracker import PARENT_TAG, Tracker

RecipeT = TypeVar("RecipeT", bound=Recipe)
P = ParamSpec("P")
R = TypeVar("R")
SUBFLOWS_OF_A_START = 1000
"""More than any start of a run has subflows of one kind."""


def flow(*, name: str, flow_run_name: str) -> Callable[[Callable[P, R]], Flow[P, R]]:
    """Prefect's `flow`, as all of this project's are declared.

    Results are references, kept as JSON so that a parent on another machine can read them. The form is left to who
    deploys the flow.
    """
    options: dict[str, Any] = {"persist_result": True, "result_serializer": "json"}

    def declare(function: Callable[P, R]) -> Flow[P, R]:
        with without_forms():
            return prefect.flow(function, name=name, flow_run_name=flow_run_name, **options)

    return declare


@dataclass(frozen=True)
class StageRun(Generic[RecipeT]):
    """One run of a stage flow: the recipe's settings, and the way to what the stage is made from."""

    stage: str
    settings: RecipeT
    recipe: str
    overrides: Mapping[str, JsonValue] | None

    @property
    def runtime(self) -> Runtime:
        """Where and how the stage runs."""
        return self.settings.runtime

    def model(self, name: str) -> ArtifactRef:
        """The model artifact of that name; empty: the recipe's base model."""
        ref = reference(name) if name else import_model(self.settings.model, self.runtime)
        if not is_missing(ref):
            check_fit(self.settings, self.recipe, self.overrides or {}, (self.stage,), ref)
        return ref

    def parent(self, name: str, stage_flow: Flow[..., ArtifactRef], **parameters: Any) -> ArtifactRef:
        """The artifact of that name; empty: what `stage_flow` makes with the same recipe."""
        if name:
            return reference(name)
        return call(stage_flow, recipe=self.recipe, overrides=self.overrides, **parameters)


@contextmanager
def stage_run(
    stage: str, recipe: str, overrides: Mapping[str, JsonValue] | None, kind: type[RecipeT] = Recipe
) -> Iterator[StageRun[RecipeT]]:
    """A run of the flow of `stage`, as a pipeline of its own or within the one that called it.

    Args:
        kind: the recipe class that has the stage; a recipe of another method is refused.
    """
    settings = load(kind, recipe, overrides)
    with pipeline(stage, settings.runtime, {"recipe": recipe}):
        yield StageRun(stage, settings, recipe, overrides)


def call(stage_flow: Flow[..., R], **parameters: Any) -> R:
    """Run a stage flow, as a subflow or as a run of its own, once in a pipeline run for the same parameters.

    An artifact among the parameters is passed on by its name, and makes an edge of Prefect's graph.

    Where a visitor takes the stage calls, the flow's code is walked without Prefect. A Prefect server that goes away
    meanwhile is waited for; what the subflow had made is in the store.
    """
    parents = [value for value in parameters.values() if isinstance(value, ArtifactRef)]
    parameters = {name: str(value) if isinstance(value, ArtifactRef) else value for name, value in parameters.items()}
    context = run_context()
    if context.visitor is not None:
        return stage_flow.fn(**parameters)
    _forget_earlier_starts(stage_flow)
    if context.called is None:
        return retry_while_unreachable(lambda: stage_flow(**parameters))
    key = canonical_json([stage_flow.name, parameters])
    if key not in context.called:
        context.called[key] = (
            dispatch(stage_flow, parameters)
            if is_dispatched(parameters)
            else retry_while_unreachable(lambda: stage_flow(**parameters, wait_for=[edge_from(ref) for ref in parents]))
        )
    return context.called[key]


def _forget_earlier_starts(stage_flow: Flow[..., Any]) -> None:
    """Have a restarted run ask the store again what its subflows made.

    Prefect would hand it what its n-th subflow of this kind returned before the crash: as plain JSON, from a file that
    another host may not have, whatever the parameters are now.
    """
    parent = FlowRunContext.get()
    if parent is not None and parent.flow_run is not None and parent.flow_run.run_count > 1:
        first = SUBFLOWS_OF_A_START * (parent.flow_run.run_count - 1)
        parent.task_run_dynamic_keys.setdefault(Task(stage_flow.fn).task_key, first)


def with_fields(overrides: Mapping[str, JsonValue], fields: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """Overrides with those of a form's own fields on top that were filled in."""
    return {**overrides, **{key: value for key, value in fields.items() if value not in ("", None, [])}}


def reference(name: str) -> ArtifactRef:
    """The artifact that a flow parameter names; while planning, it may be one that is not there yet."""
    context = run_context()
    missing = context.visitor.missing.get(name) if isinstance(context.visitor, Plan) else None
    return missing or context.store.ref(name)


@contextmanager
def pipeline(
    name: str, runtime: Runtime, tags: Mapping[str, str], params: Mapping[str, JsonValue] = MappingProxyType({})
) -> Iterator[list[StageRecord]]:
    """One pipeline run: a journal of the stages passed, and an MLflow parent run if any of them is built.

    Yields the journal. Inside another pipeline the outer one's journal and run go on.

    Args:
        params: main settings, which stand beside the results where runs are compared.
    """
    # A worker of Prefect starts a run in a process of its own, with no command that has seen to it.
    hide_passwords_in_logs()
    context = run_context()
    if context.journal is not None and context.tracker is not None:
        yield context.journal
        return
    check_mirror(runtime.mirror)
    journal = [] if context.journal is None else context.journal
    course = context.course or Course()
    before = len(journal)
    run = current_flow_run()
    tracker = Tracker(
        name,
        {**tags, **_flow_run_tags()},
        params,
        settings=context.settings,
        mirror=runtime.mirror,
        note=flow_run_link(),
        opened=show_link,
        parent_run_id=_outer_run(),
    )
    failed = True
    about = {"flow_run_id": run and run.id, "command": current_command()}
    entered = {"journal": journal, "course": course, "called": {}, "tracker": tracker, **about}
    try:
        with errors_without_passwords(), run_context_with(**entered), shown_on_page(course):
            yield journal
        failed = False
        show_stages(journal[before:], tracker)
        trace_completions(journal[before:], tracker)
    finally:
        tracker.finish_pipeline(journal, failed, context.store)


def expect_stages(outline: Callable[[], Sequence[PlannedStage]]) -> None:
    """Have the run know how many stages it will pass, if nobody has counted them; a plan has no need of it."""
    context = run_context()
    if context.visitor is None and context.course is not None and not context.course.total:
        context.course.total = count_stages(outline())


def _flow_run_tags() -> dict[str, str]:
    run = current_flow_run()
    return {"prefect.flow_run_id": str(run.id), "prefect.flow_run_name": run.name} if run else {}


def _outer_run() -> str | None:
    """The MLflow run of the pipeline that this run is a stage of, where that is another Prefect run."""
    run = current_flow_run()
    return next((tag.removeprefix(PARENT_TAG) for tag in run.tags if tag.startswith(PARENT_TAG)), None) if run else None
