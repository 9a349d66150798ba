"""Runs of commands that were killed do not stay RUNNING."""

import subprocess
import sys
from pathlib import Path

import pytest
from prefect import flow, tags
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import FlowRunFilter
from prefect.states import Running

from flows.server.left_runs import OF_A_COMMAND, PROCESS, close_left_runs, command_tags
from flows.server.reading import all_rows
from tasks.spine.process import has_ended, own_identity
from tasks.spine.store.settings import Settings
from tasks.spine.tracking import tracker
from tasks.spine.tracking.tracker import Tracker

ELSEWHERE = "another-host:1@0.00"


def ended() -> str:
    """A process of this host that is no more."""
    code = "from tasks.spine.process import own_identity; print(own_identity())"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_a_process_is_known_by_more_than_its_number() -> None:
    own = own_identity()
    assert not has_ended(own)
    assert has_ended(own.partition("@")[0] + "@1.00")
    assert has_ended(ended())
    assert not has_ended(ELSEWHERE), "of another host nothing is known"


def test_runs_of_ended_commands_are_closed_and_others_go_on(in_new_home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    @flow
    def left() -> None: ...

    settings = Settings()
    identity = ended()
    with get_client(sync_client=True) as client:
        runs = {
            name: client.create_flow_run(left, state=Running(), tags=[OF_A_COMMAND, f"{PROCESS}{process}"])
            for name, process in (("killed", identity), ("alive", own_identity()), ("elsewhere", ELSEWHERE))
        }
        with monkeypatch.context() as patch:
            patch.setattr(tracker, "own_identity", lambda: identity)
            killed = Tracker("killed", settings=settings).start_pipeline()
        alive = Tracker("alive", settings=settings)
        alive._close_left_runs = lambda: None  # type: ignore[method-assign]
        going_on = alive.start_pipeline()
        close_left_runs(settings)
        of_commands = FlowRunFilter.model_validate({"tags": {"all_": [OF_A_COMMAND]}})
        paged = {run.id for run in all_rows(client.read_flow_runs, flow_run_filter=of_commands, limit=1)}
        states = {name: client.read_flow_run(run.id).state for name, run in runs.items()}
    assert paged >= {run.id for run in runs.values()}
    assert {name: state.name for name, state in states.items() if state} == {
        "killed": "Crashed",
        "alive": "Running",
        "elsewhere": "Running",
    }
    assert alive.client.get_run(killed).info.status == "KILLED"
    assert alive.client.get_run(going_on).info.status == "RUNNING"


def test_runs_of_a_command_lead_to_its_process(in_new_home: Path) -> None:
    @flow
    def tagged() -> None: ...

    with tags(*command_tags()):
        state = tagged(return_state=True)
    with get_client(sync_client=True) as client:
        assert set(command_tags()) <= set(client.read_flow_run(state.state_details.flow_run_id).tags)
