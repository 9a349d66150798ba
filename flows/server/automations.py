"""What the Prefect server does by itself: end dead runs and start them again, release announced base models."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from prefect.client.schemas.objects import FlowRun
from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture, ResourceSpecification
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY
from prefect.states import StateType

if TYPE_CHECKING:
    from uuid import UUID

RELEASED = "release/base-model"
WATCHED = "watch-base-models/watch"
EVENT = "model.base.released"
HEARTBEAT = "prefect.flow-run.heartbeat"
HEARTBEAT_S = 180
"""Seconds between heartbeats on a server for runs that send none where this command runs (a person's own)."""
SILENT_HEARTBEATS = 3
"""Fewer would end runs that only paused for breath."""
SETTLE_S = 15
"""A dead process is reported by itself, Prefect's runner and its worker; a restart in between would be undone."""
RESTARTED_WITHIN = timedelta(seconds=4 * SETTLE_S)
"""After its crash; the server looks every `SETTLE_S`."""
RESTARTED = "AwaitingRestart"
MAX_RESTARTS = 5
"""Ours: a machine that is taken away a few times costs no run, and what crashes at every start comes to its end.

Counted by the run's own number of starts. Prefect delivers an event again when its database was locked, so that a count
of events would grow too fast.
"""


def automations(deployments: Mapping[str, "UUID"], pools: Sequence[str]) -> list[AutomationCore]:
    """The project's automations; `deployments` gives ids by flow/deployment, `pools` names of work pools."""
    return [_ends_dead_runs(), _restarts(pools), _releases(deployments[RELEASED])]


def silent_s() -> int:
    """Seconds without a heartbeat after which a run is taken for dead, by Prefect's setting of their frequency."""
    return SILENT_HEARTBEATS * (PREFECT_FLOWS_HEARTBEAT_FREQUENCY.value() or HEARTBEAT_S)


def awaits_restart(run: FlowRun) -> bool:
    """True for a run that crashed so lately, and so few times, that the server may still start it again."""
    state = run.state
    if state is None or not state.is_crashed() or run.run_count > MAX_RESTARTS:
        return False
    return datetime.now(UTC) - state.timestamp < RESTARTED_WITHIN


def _events(*states: str) -> set[str]:
    return {f"prefect.flow-run.{state}" for state in states}


def _ends_dead_runs() -> AutomationCore:
    """A run whose process was killed cannot say so; the server marks it when its heartbeats stop.

    A run that is marked wrongly does no harm: one that has ended is asked in vain to crash, and one that waits for its
    start is scheduled again. Hence neither a crash nor a restart is among what it expects (see `_restarts`), but a
    start by hand is: it may be beyond what the server restarts.
    """
    return AutomationCore(
        name="midtrain: runs without heartbeat have crashed",
        description=f"Marks a flow run as crashed {silent_s()} s after its last heartbeat.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT, *_events("Completed", "Failed", "Cancelled", "Scheduled")},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=silent_s()),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"No heartbeat for {silent_s()} s.")],
    )


def _restarts(pools: Sequence[str]) -> AutomationCore:
    """A crashed run is scheduled anew, so that a worker of its pool takes it up and its stages go on.

    Runs that never began are left alone: the next start would find the same image or entry point.

    With Prefect 3.7 on SQLite, an event that closes an open count may be given up while others write, and what follows
    it waits a quarter of an hour. So no count is open when an event comes that leads from a crash to the next start.
    """
    starts = [str(count) for count in range(1, MAX_RESTARTS + 1)]
    changed = {"Scheduled", "Pending", "Running"}
    ended = {"Completed", "Failed", "Cancelling", "Cancelled"}
    return AutomationCore(
        name="midtrain: crashed runs are restarted",
        description=f"Schedules a run of a deployment again {SETTLE_S} s after it crashed, up to {MAX_RESTARTS} times.",
        trigger=EventTrigger(
            after=_events("Crashed"),
            expect=_events("Crashed", *changed, *ended),
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"], "prefect.run-count": starts}),
            match_related=_of(pools),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SETTLE_S),
        ),
        actions=[
            ChangeFlowRunState(
                state=StateType.SCHEDULED, name=RESTARTED, message="It crashed, and goes on from what is done."
            )
        ],
    )


def _of(pools: Sequence[str]) -> ResourceSpecification:
    """Runs that a worker of these pools takes up; subflows have none and crash and restart with their parents."""
    return ResourceSpecification({"prefect.resource.role": ["work-pool"], "prefect.resource.name": list(pools)})


def _releases(deployment: "UUID") -> AutomationCore:
    """An announced base model goes through the pipeline; settings that the event leaves out are the deployment's."""
    parameters = {
        # Prefect puts `| tojson` behind the expression, which without parentheses would take its last part alone.
        "model": "{{ (event.payload.model or event.resource['model.name']) }}",
        "revision": "{{ (event.payload.revision or '') }}",
        "recipe": "{{ (event.payload.recipe or 'tiny-cpu') }}",
    }
    return AutomationCore(
        name=f"midtrain: {EVENT}",
        description="Starts a run for a base model: its name as resource label model.name or in the payload as model; "
        "revision and recipe in the payload.",
        trigger=EventTrigger(
            expect={EVENT},
            match=ResourceSpecification({}),
            posture=Posture.Reactive,
            threshold=1,
            within=timedelta(0),
        ),
        actions=[RunDeployment(source="selected", deployment_id=deployment, parameters=parameters)],
    )
