"""Which runs the server ends and starts again, on PostgreSQL: with SQLite, Prefect 3.7 may lose the event a rule needs.

The tests tell the server what it would hear of runs, which no worker takes.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from flows.server.automations import MAX_RESTARTS, RESTARTED
from tests.support.commands import wait_until
from tests.support.deployed import Deployed
from tests.support.homes import Databases
from tests.support.postgres import NotHere, Postgres, running

pytestmark = pytest.mark.slow

DATABASE = "prefect"
WAIT_S = 240
SILENCE_S = 30
"""After which the server takes a run for dead here: after three of Prefect's quickest heartbeats it would be 90."""


@dataclass(frozen=True)
class Watched:
    """A deployed server, and the database behind it."""

    server: Deployed
    postgres: Postgres

    def beat(self, run_id: str) -> None:
        """Send the heartbeat of a run; returns once the server waits for the next."""
        self.server.beat(run_id)
        opened = f"select id from automation_bucket where bucketing_key::text like '%{run_id}%'"
        wait_until(lambda: self.postgres.ask(DATABASE, opened), WAIT_S)


@pytest.fixture(scope="module")
def watched(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A server on PostgreSQL with all deployed, no worker, and less patience with silent runs."""
    try:
        with running() as postgres:
            postgres.create(DATABASE)
            database = {"PREFECT_API_DATABASE_CONNECTION_URL": postgres.address("asyncpg", DATABASE)}
            with Deployed(tmp_path_factory.mktemp("restarts"), databases, database) as server:
                server.midtrain("deploy")
                server.wait_less("heartbeat", SILENCE_S)
                yield Watched(server, postgres)
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.mark.long(reason="waits until the server has restarted a run that crashed once less often")
def test_a_run_that_crashes_at_every_start_is_left_alone_in_the_end(watched: Watched) -> None:
    often, once_less = watched.server.new_runs(2)
    watched.server.tell(often, "PENDING", *["RUNNING"] * (MAX_RESTARTS + 1), "CRASHED")
    watched.server.tell(once_less, "PENDING", *["RUNNING"] * MAX_RESTARTS, "CRASHED")
    # It crashed after the other run, so that the server would have restarted that one by then.
    wait_until(lambda: RESTARTED in watched.server.states_of(once_less), WAIT_S)
    assert RESTARTED not in watched.server.states_of(often)
    assert watched.server.state_of(often) == "CRASHED"


def test_a_silent_run_is_restarted_and_one_that_waits_for_its_start_is_not_taken_for_dead(watched: Watched) -> None:
    waiting, silent, restarted = watched.server.new_runs(3)
    for run_id in (waiting, silent, restarted):
        watched.server.tell(run_id, "PENDING", "RUNNING")
        watched.beat(run_id)
        if run_id == waiting:
            # Started again by hand, before the server would, and taken up by no worker for longer than the silence.
            watched.server.tell(waiting, "CRASHED", "SCHEDULED")
        if run_id == restarted:
            watched.server.tell(restarted, "CRASHED")
    wait_until(lambda: RESTARTED in watched.server.states_of(silent), WAIT_S)
    assert watched.server.states_of(silent)[-3:] == ["Running", "Crashed", RESTARTED]
    assert watched.server.state_of(waiting) == "SCHEDULED"
    assert watched.server.states_of(waiting).count("Crashed") == 1
    # One that the server itself had scheduled is taken for dead, and goes on waiting.
    twice = ["Running", "Crashed", RESTARTED, "Crashed", RESTARTED]
    wait_until(lambda: watched.server.states_of(restarted)[-len(twice) :] == twice, WAIT_S)
