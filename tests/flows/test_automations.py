"""When a run is taken for dead, and how long a crashed one may still come back."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from prefect.client.schemas.objects import FlowRun
from prefect.settings import PREFECT_FLOWS_HEARTBEAT_FREQUENCY, temporary_settings
from prefect.states import Completed, Crashed, Failed, Running, State

from flows.server.automations import MAX_RESTARTS, RESTARTED_WITHIN, SETTLE_S, awaits_restart, silent_s


@pytest.mark.parametrize(("frequency_s", "silence_s"), [(None, 540), (180, 540), (30, 90)])
def test_a_run_is_dead_after_three_heartbeats_that_did_not_come(frequency_s: int | None, silence_s: int) -> None:
    with temporary_settings({PREFECT_FLOWS_HEARTBEAT_FREQUENCY: frequency_s}):
        assert silent_s() == silence_s


@pytest.mark.parametrize(
    ("state", "age", "starts", "expected"),
    [
        (Crashed(), timedelta(seconds=2 * SETTLE_S), 1, True),
        (Crashed(), timedelta(seconds=2 * SETTLE_S), MAX_RESTARTS, True),
        (Crashed(), timedelta(seconds=2 * SETTLE_S), MAX_RESTARTS + 1, False),
        (Crashed(), 2 * RESTARTED_WITHIN, 1, False),
        (Failed(), timedelta(0), 1, False),
        (Completed(), timedelta(0), 1, False),
        (Running(), timedelta(0), 1, False),
    ],
)
def test_only_a_fresh_crash_is_waited_for(state: State, age: timedelta, starts: int, expected: bool) -> None:
    crashed = state.model_copy(update={"timestamp": datetime.now(UTC) - age})
    assert awaits_restart(FlowRun(flow_id=uuid4(), state=crashed, run_count=starts)) is expected
