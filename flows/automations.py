"""What the Prefect server does by itself: end the records of dead runs, and release base models that are announced."""

from collections.abc import Mapping
from datetime import timedelta
from typing import TYPE_CHECKING

from prefect.events.actions import ChangeFlowRunState, RunDeployment
from prefect.events.schemas.automations import AutomationCore, EventTrigger, Posture, ResourceSpecification
from prefect.states import StateType

if TYPE_CHECKING:
    from uuid import UUID

RELEASED = "release/base-model"
WATCHED = "watch-base-models/watch"
EVENT = "model.base.released"
SILENT_S = 540.0
"""Three heartbeats of a run at Prefect's default of 180 s; fewer would end runs that only paused for breath."""
HEARTBEAT = "prefect.flow-run.heartbeat"


def automations(deployments: Mapping[str, "UUID"]) -> list[AutomationCore]:
    """The project's automations; `deployments` gives ids by flow/deployment."""
    return [_ends_dead_runs(), _releases(deployments[RELEASED])]


def _ends_dead_runs() -> AutomationCore:
    """A run whose process was killed cannot say so; the server marks it when its heartbeats stop."""
    ends = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
    return AutomationCore(
        name="midtrain: runs without heartbeat have crashed",
        description=f"Marks a flow run as crashed {SILENT_S:.0f} s after its last heartbeat.",
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT, *ends},
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=timedelta(seconds=SILENT_S),
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message=f"No heartbeat for {SILENT_S:.0f} s.")],
    )


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
