"""Processes, machines and servers that go away while deployed runs are at work: the runs come back and finish."""

import socket
import time
from collections import Counter
from collections.abc import Iterator

import pytest

from flows.server.automations import RESTARTED
from tasks.spine.stage.training_slot import STARTED_BY_WORKER, limit_name
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.store import Store
from tests.flows.test_faults import check_resumed
from tests.flows.test_releases import put_model
from tests.support.commands import SLOWLY, STEP_BY_STEP, TRAINER, batches, pooled, processes, steps_logged, wait_until
from tests.support.deployed import POOLS, QUICK_HEARTBEAT, Deployed
from tests.support.small import SMALL

pytestmark = pytest.mark.slow

FAST = {**QUICK_HEARTBEAT, "PREFECT_WORKER_QUERY_SECONDS": "2"}
STEPS = 12
AWAY_S = 30.0
RUN_S = 420.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A Prefect server of its own with a worker on each pool; all deployed."""
    with Deployed(tmp_path_factory.mktemp("crashes"), FAST) as started:
        started.midtrain("deploy")
        for pool in POOLS:
            started.start_worker(pool)
        yield started


@pytest.fixture(autouse=True)
def _home(server: Deployed, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(server.home))


def completed(server: Deployed, run_id: str) -> bool:
    """True once a run has completed; an error where it has failed."""
    state = server.ask(f"flow_runs/{run_id}")["state"]
    assert state["type"] != "FAILED", state["message"]
    return state["type"] == "COMPLETED"


def trained() -> list[Manifest]:
    """Models that RL has made."""
    return [manifest for manifest in Store.open().all("model") if manifest.stage == "rl"]


def test_a_killed_flow_is_restarted_and_generates_no_sample_twice(server: Deployed) -> None:
    run_id = server.start_run("midtrain/stage", overrides={**SMALL, **SLOWLY, "midtraining.batch_size": 4})
    wait_until(lambda: len(batches(server.home)) >= 3, RUN_S)
    (flow,) = [each for each in processes(server.home, "prefect.engine") if each.environ()[STARTED_BY_WORKER] == run_id]
    flow.kill()
    held = pooled(server.home)
    wait_until(lambda: completed(server, run_id), RUN_S)
    assert [name for name in server.states_of(run_id) if name in ("Crashed", RESTARTED)][-1] == RESTARTED
    assert server.ask(f"flow_runs/{run_id}")["run_count"] == 2
    keys = pooled(server.home)
    assert len(held) < len(keys) == len(set(keys))
    (samples,) = Store.open().all("samples")
    assert samples.summary["from_pool"] >= len(held)


def test_a_run_goes_on_while_the_server_is_away(server: Deployed) -> None:
    overrides = {**SMALL, **STEP_BY_STEP, "rl.steps": STEPS, "rl.seed": 1}
    run_id = server.start_run("rl/stage", overrides=overrides)
    wait_until(lambda: steps_logged(server.home, "rl") >= 2, RUN_S)
    server.end("server")
    away_since = time.monotonic()
    wait_until(lambda: not processes(server.home, TRAINER), RUN_S)
    time.sleep(max(0.0, AWAY_S - (time.monotonic() - away_since)))
    server.start_server()
    wait_until(lambda: completed(server, run_id), RUN_S)
    assert server.ask(f"flow_runs/{run_id}")["run_count"] == 1
    assert RESTARTED not in server.states_of(run_id)
    (model,) = trained()
    assert model.summary["resumed_from_step"] == 0
    slot = server.ask(f"v2/concurrency_limits/{limit_name(socket.gethostname())}")
    assert slot["active_slots"] == 0


def test_a_run_whose_worker_lost_power_is_restarted_and_resumes(server: Deployed) -> None:
    overrides = {**SMALL, **STEP_BY_STEP, "rl.steps": STEPS, "rl.seed": 2}
    earlier = trained()
    run_id = server.start_run("rl/stage", overrides=overrides)
    wait_until(lambda: list((server.home / "work").glob("rl-*/checkpoints/checkpoint-3")), RUN_S)
    server.kill("worker-gpu")
    assert server.state_of(run_id) == "RUNNING"
    assert not processes(server.home, TRAINER)
    # The slot of a dead holder comes free within 5 minutes, which this test does not wait for.
    server.settings["MIDTRAIN_TRAINING_LIMIT"] = ""
    server.start_worker("gpu")
    wait_until(lambda: "Crashed" in server.states_of(run_id), RUN_S)
    wait_until(lambda: completed(server, run_id), RUN_S)
    passed = server.states_of(run_id)
    assert [name for name in passed if name in ("Running", "Crashed", RESTARTED)] == [
        "Running",
        "Crashed",
        RESTARTED,
        "Running",
    ]
    (model,) = [each for each in trained() if each not in earlier]
    check_resumed(model, STEPS)
    built = Counter(task["name"] for task in server.ask("task_runs/filter", {}) if task["state"]["name"] == "Built")
    assert {built["questions-rl_questions"], built["prompts-data"]} == {1}


def test_two_watchers_at_once_on_a_server_make_one_release(server: Deployed) -> None:
    models = server.folder / "arrivals"
    put_model(models / "first", factor=1.01)
    arms = {"polya": {"label": "RL", "midtrain": False}}
    asked = {
        "source": str(models),
        "deployment": "release/base-model",
        "settle_s": 0,
        "overrides": {**SMALL, "arms": arms},
    }
    ticks = [server.start_run("watch-base-models/watch", **asked) for _ in range(2)]
    wait_until(lambda: all(completed(server, tick) for tick in ticks), RUN_S)
    (release,) = server.runs_of("release/base-model")
    wait_until(lambda: completed(server, release["id"]), RUN_S)
    assert len(Store.open().all("release")) == 1
    third = server.start_run("watch-base-models/watch", **asked)
    wait_until(lambda: completed(server, third), RUN_S)
    assert [run["id"] for run in server.runs_of("release/base-model")] == [release["id"]]
    assert len(Store.open().all("release")) == 1


def test_runs_that_crash_again_and_again_are_restarted_each_time(server: Deployed) -> None:
    server.prefect("work-queue", "create", "nobody", "--pool", "cpu")
    server.prefect("work-queue", "pause", "nobody", "--pool", "cpu")
    runs = server.new_runs(4, queue="nobody")
    for _ in range(3):
        for run_id in runs:
            server.tell(run_id, "PENDING", "RUNNING")
            server.beat(run_id)
        # The count that each heartbeat opens is open when the run crashes.
        time.sleep(5)
        for run_id in runs:
            server.tell(run_id, "CRASHED")
        wait_until(lambda: all(server.states_of(run_id)[-1] == RESTARTED for run_id in runs), 180)
