"""Ctrl-C and SIGTERM: the command ends soon with a failure code, and nothing of it goes on."""

import json
import os
import signal
import time
from functools import partial
from pathlib import Path

import httpx
import pytest

from flows.stages.rl import rl
from tasks.spine.store.store import Store
from tests.support.commands import (
    GENERATION,
    SLOWLY,
    STEP_BY_STEP,
    TRAINER,
    gone,
    processes,
    start,
    start_python,
)
from tests.support.network import free_port
from tests.support.small import SMALL, run

pytestmark = pytest.mark.slow

LIMIT_S = 60
"""Bound of a wait: what ends of itself takes a second or two, but may be beside other work."""
RATES = {"slow": 1e-4, "fast": 2e-4}
"""Learning rates of two arms, which would otherwise be one."""
SERVER = "flows.server.guard:prefect_server"


@pytest.mark.parametrize(
    ("how", "code"),
    [
        (signal.SIGINT, 130),
        pytest.param(
            signal.SIGTERM, 143, marks=pytest.mark.long(reason="the same run again, ended by the other signal")
        ),
    ],
)
def test_an_interrupted_command_ends_all_it_started_and_a_rerun_finishes(
    in_new_home: Path, how: signal.Signals, code: int
) -> None:
    """Arms that train at the same time end together; the one that is looked at then goes on by itself."""
    arms = {name: {"label": name, "midtrain": False, "overrides": {"rl.learning_rate": r}} for name, r in RATES.items()}
    overrides = {**SMALL, **STEP_BY_STEP}
    command = start(in_new_home, "polya", {**overrides, "arms": arms, "runtime.concurrent_arms": 2})
    command.wait_until(lambda: len(processes(in_new_home, TRAINER)) == 2 and rates_with_checkpoint(in_new_home))
    assert processes(in_new_home, "tasks.shared.verification.child")
    before = command.output
    interrupt(command.process.pid, how)
    assert command.wait(LIMIT_S) == code, command.output
    assert gone(in_new_home)
    check_one_thing_is_said(command.output.removeprefix(before))
    store = Store.open()
    made = {manifest.stage: manifest.ref for manifest in store.all()}
    assert {"questions", "decontaminate", "model", "rl_prompts"} <= set(made)
    assert "rl" not in made
    again = run(rl, overrides={**overrides, "rl.learning_rate": rates_with_checkpoint(in_new_home)[0]})
    assert again.built == ["rl"]
    assert store.manifest(again.ref).summary["resumed_from_step"] > 0
    assert {ref.kind for ref in made.values()} <= {manifest.kind for manifest in store.all()}


@pytest.mark.parametrize("verbose", [True, False])
def test_sigterm_says_one_thing_as_ctrl_c_does(new_home: Path, verbose: bool) -> None:
    command = start(new_home, "generate", {**SMALL, **SLOWLY}, verbose)
    command.wait_until(lambda: processes(new_home, GENERATION))
    before = command.output
    interrupt(command.process.pid, signal.SIGTERM)
    assert command.wait(LIMIT_S) == 143, command.output
    assert gone(new_home)
    check_one_thing_is_said(command.output.removeprefix(before))


def check_one_thing_is_said(said: str) -> None:
    assert said.count("Stopped; a rerun goes on from what is done.") == said.count("Stopped") == 1, said
    for text in ("Traceback", "Crash", "Finished in state", "termination", "Shutting down"):
        assert text not in said


def rates_with_checkpoint(home: Path) -> list[float]:
    """Learning rates of the RL trainings that have reported two steps."""
    reported = (path for path in (home / "work").glob("rl-*/worker/metrics.jsonl") if path.read_text().count("\n") >= 2)
    return [json.loads((path.parent / "job.json").read_text())["config"]["learning_rate"] for path in reported]


@pytest.mark.parametrize(
    "how",
    [
        pytest.param(signal.SIGINT, marks=pytest.mark.long(reason="the same start, ended by the other signal")),
        signal.SIGTERM,
    ],
)
def test_a_command_that_is_still_starting_leaves_no_server(new_home: Path, how: signal.Signals) -> None:
    command = start(new_home, "questions", SMALL)
    command.wait_until(lambda: processes(new_home, SERVER))
    time.sleep(0.5)
    interrupt(command.process.pid, how)
    assert command.wait(LIMIT_S) not in (0, None)
    assert gone(new_home), command.output


@pytest.mark.parametrize(
    "how",
    [
        signal.SIGINT,
        pytest.param(signal.SIGTERM, marks=pytest.mark.long(reason="the same servers, ended by the other signal")),
    ],
)
def test_the_servers_of_the_pages_are_closed_to_others_and_end_with_their_command(
    new_home: Path, how: signal.Signals
) -> None:
    prefect, mlflow = free_port(), free_port()
    ports = ["--prefect-port", str(prefect), "--mlflow-port", str(mlflow)]
    command = start_python(new_home, ["-m", "flows.cli", "ui", *ports])
    command.wait_until(lambda: "Ctrl-C ends both" in command.output)
    for port, path in {prefect: "api/flow_runs/filter", mlflow: "api/2.0/mlflow/experiments/search"}.items():
        ask = partial(httpx.post, f"http://127.0.0.1:{port}/{path}", json={"max_results": 1, "limit": 1}, timeout=30)
        assert ask(headers={"Origin": f"http://127.0.0.1:{port}"}).status_code == 200
        other = ask(headers={"Origin": f"http://127.0.0.1:{free_port()}"})
        assert (other.status_code, "own host and origin" in other.text) == (403, True)
    interrupt(command.process.pid, how)
    assert command.wait(LIMIT_S) == 0, command.output
    assert gone(new_home)


def interrupt(pid: int, how: signal.Signals) -> None:
    """Ctrl-C reaches the whole foreground group of a terminal; `kill` reaches one process."""
    if how == signal.SIGINT:
        os.killpg(pid, how)
    else:
        os.kill(pid, how)
