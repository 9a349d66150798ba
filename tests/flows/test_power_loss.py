"""A machine that loses power in the middle of a training: the run comes back on another worker and resumes."""

from collections import Counter
from collections.abc import Iterator

import pytest

from flows.server.automations import RESTARTED
from tasks.spine.store.store import Store
from tests.support.commands import STEP_BY_STEP, TRAINER, check_resumed, processes, wait_until
from tests.support.deployed import QUICK_HEARTBEAT, Deployed
from tests.support.homes import Databases
from tests.support.small import SMALL

pytestmark = pytest.mark.slow

STEPS = 12
RUN_S = 420.0


@pytest.fixture
def server(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A server of its own that takes a run for dead as soon as Prefect's quickest heartbeat allows."""
    folder = tmp_path_factory.mktemp("power")
    with Deployed(folder, databases, QUICK_HEARTBEAT) as started:
        started.midtrain("deploy")
        with started.with_workers(folder):
            yield started


@pytest.mark.long(reason="a run is taken for dead a minute and a half after its last heartbeat, at Prefect's quickest")
def test_a_run_whose_worker_lost_power_is_restarted_and_resumes(
    server: Deployed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIDTRAIN_HOME", str(server.home))
    overrides = {**SMALL, **STEP_BY_STEP, "rl.steps": STEPS}
    run_id = server.start_run("rl/rl", overrides=overrides)
    wait_until(lambda: list((server.home / "work").glob("rl-*/checkpoints/checkpoint-3")), RUN_S)
    server.kill("worker-gpu")
    assert server.state_of(run_id) == "RUNNING"
    assert not processes(server.home, TRAINER)
    # The slot of a dead holder comes free within 5 minutes, which this test does not wait for.
    server.settings["MIDTRAIN_TRAINING_LIMIT"] = ""
    server.start_worker("gpu")
    wait_until(lambda: "Crashed" in server.states_of(run_id), RUN_S)
    wait_until(lambda: server.completed(run_id), RUN_S)
    passed = server.states_of(run_id)
    assert [name for name in passed if name in ("Running", "Crashed", RESTARTED)] == [
        "Running",
        "Crashed",
        RESTARTED,
        "Running",
    ]
    (model,) = [found for found in Store.open().all("model") if found.stage == "rl"]
    check_resumed(model, STEPS)
    built = Counter(task["name"] for task in server.ask("task_runs/filter", {}) if task["state"]["name"] == "Built")
    assert {built["questions-rl_questions"], built["prompts-data"]} == {1}
