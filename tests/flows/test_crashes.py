"""Processes, machines and servers that go away while deployed runs are at work: the runs come back and finish."""

import socket
import time
from collections.abc import Iterator

import pytest

from flows.server.automations import RESTARTED
from tasks.spine.stage.training_slot import limit_name
from tasks.spine.store.settings import STARTED_BY_WORKER, Settings
from tasks.spine.store.store import Store
from tests.support.base_models import put_model
from tests.support.commands import (
    SLOWLY,
    STEP_BY_STEP,
    TRAINER,
    batches,
    pooled,
    processes,
    steps_logged,
    wait_until,
)
from tests.support.deployed import Deployed
from tests.support.small import RL_ONLY, SMALL

pytestmark = pytest.mark.slow

STEPS = 12
AWAY_S = 10.0
RUN_S = 420.0
SOON_S = 10.0
"""The least that Prefect takes."""


@pytest.fixture(autouse=True)
def _home(server: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(server.home))


def test_a_killed_flow_is_restarted_and_generates_no_sample_twice(server: Deployed) -> None:
    run_id = server.start_run("generate/generate", overrides={**SMALL, **SLOWLY})
    wait_until(lambda: len(batches(server.home)) >= 3, RUN_S)
    (flow,) = [each for each in processes(server.home, "prefect.engine") if each.environ()[STARTED_BY_WORKER] == run_id]
    flow.kill()
    held = pooled(server.home)
    wait_until(lambda: server.completed(run_id), RUN_S)
    assert [name for name in server.states_of(run_id) if name in ("Crashed", RESTARTED)][-1] == RESTARTED
    assert server.ask(f"flow_runs/{run_id}")["run_count"] == 2
    keys = pooled(server.home)
    assert len(held) < len(keys) == len(set(keys))
    (samples,) = Store.open().all("samples")
    assert samples.summary["from_pool"] >= len(held)


def test_a_run_goes_on_while_the_server_is_away(server: Deployed) -> None:
    overrides = {**SMALL, **STEP_BY_STEP, "rl.steps": STEPS, "rl.learning_rate": 2e-4}
    run_id = server.start_run("rl/rl", overrides=overrides)
    wait_until(lambda: steps_logged(server.home, "rl") >= 2, RUN_S)
    server.end("server")
    away_since = time.monotonic()
    wait_until(lambda: not processes(server.home, TRAINER), RUN_S)
    time.sleep(max(0.0, AWAY_S - (time.monotonic() - away_since)))
    server.start_server()
    wait_until(lambda: server.completed(run_id), RUN_S)
    assert server.ask(f"flow_runs/{run_id}")["run_count"] == 1
    assert RESTARTED not in server.states_of(run_id)
    (model,) = [found for found in Store.open().all("model") if found.stage == "rl"]
    assert model.summary["resumed_from_step"] == 0
    slot = server.ask(f"v2/concurrency_limits/{limit_name(socket.gethostname(), Settings())}")
    assert slot["active_slots"] == 0


@pytest.mark.long(reason="whole releases by two workers; that two watchers start one run is shown without them")
def test_two_watchers_at_once_on_a_server_make_one_release(server: Deployed) -> None:
    models = server.folder / "arrivals"
    put_model(models / "first", factor=1.01)
    asked = {
        "source": str(models),
        "deployment": "release/base-model",
        "settle_s": 0,
        "overrides": {**SMALL, **RL_ONLY, "rl.steps": 1},
    }
    ticks = [server.start_run("watch-base-models/watch", **asked) for _ in range(2)]
    wait_until(lambda: all(server.completed(tick) for tick in ticks), RUN_S)
    (release,) = server.runs_of("release/base-model")
    wait_until(lambda: server.completed(release["id"]), RUN_S)
    assert len(Store.open().all("release")) == 1
    third = server.start_run("watch-base-models/watch", **asked)
    wait_until(lambda: server.completed(third), RUN_S)
    assert [run["id"] for run in server.runs_of("release/base-model")] == [release["id"]]
    assert len(Store.open().all("release")) == 1


@pytest.fixture
def soon(server: Deployed) -> Iterator[None]:
    """Crashed runs are restarted sooner: no process is at work that would still report the crash."""
    before = server.wait_less("restarted", SOON_S)
    yield
    server.wait_less("restarted", before)


@pytest.mark.long(
    reason="two crashes each of four runs, and the wait for every restart; a run that is killed once comes back"
)
def test_runs_that_crash_again_and_again_are_restarted_each_time(soon: None, server: Deployed) -> None:
    server.prefect("work-queue", "create", "nobody", "--pool", "cpu")
    server.prefect("work-queue", "pause", "nobody", "--pool", "cpu")
    runs = server.new_runs(4, queue="nobody")
    for _ in range(2):
        for run_id in runs:
            server.tell(run_id, "PENDING", "RUNNING")
            server.beat(run_id)
        # The count that each heartbeat opens is open when the run crashes.
        time.sleep(5)
        for run_id in runs:
            server.tell(run_id, "CRASHED")
        wait_until(lambda: all(server.states_of(run_id)[-1] == RESTARTED for run_id in runs), 180)
