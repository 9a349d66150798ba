"""Runs of commands that were killed: nobody is left to end them, so the next command does."""

import logging

from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.filters import FlowRunFilter, TaskRunFilter
from prefect.client.schemas.objects import FlowRun
from prefect.states import Crashed

from flows.server.reading import all_rows
from tasks.spine.process import has_ended, own_identity
from tasks.spine.store.settings import Settings
from tasks.spine.tracking.tracker import Tracker

OF_A_COMMAND = "midtrain-command"
"""Tag of every run that a command makes in its own process; beside it stands that process."""
PROCESS = "process:"
UNFINISHED = {"type": {"any_": ["RUNNING", "PENDING", "SCHEDULED", "CANCELLING", "PAUSED"]}, "name": None}
MESSAGE = "The command was killed, or its machine went down; a rerun goes on from what is done."

log = logging.getLogger(__name__)


def command_tags() -> tuple[str, str]:
    """Tags that lead from a run to this process."""
    return OF_A_COMMAND, f"{PROCESS}{own_identity()}"


def close_left_runs(settings: Settings) -> None:
    """Mark unfinished runs of this host's ended commands: as crashed in Prefect, as killed in MLflow.

    A run that cannot be marked is said and stops nothing.
    """
    try:
        with get_client(sync_client=True) as client:
            wanted = {"tags": {"all_": [OF_A_COMMAND]}, "state": UNFINISHED}
            runs = all_rows(client.read_flow_runs, flow_run_filter=FlowRunFilter.model_validate(wanted))
            left = [run for run in runs if _is_left(run)]
            for run in left:
                _close(client, run)
    except Exception as error:
        log.warning("runs of killed commands could not be closed in Prefect: %s", error)
        return
    if left:
        Tracker("left runs", settings=settings).close_left_runs()


def _is_left(run: FlowRun) -> bool:
    return any(has_ended(tag.removeprefix(PROCESS)) for tag in run.tags if tag.startswith(PROCESS))


def _close(client: SyncPrefectClient, run: FlowRun) -> None:
    own = FlowRunFilter.model_validate({"id": {"any_": [run.id]}})
    unfinished = TaskRunFilter.model_validate({"state": UNFINISHED})
    for task_run in all_rows(client.read_task_runs, flow_run_filter=own, task_run_filter=unfinished):
        client.set_task_run_state(task_run.id, Crashed(message=MESSAGE), force=True)
    client.set_flow_run_state(run.id, Crashed(message=MESSAGE), force=True)
