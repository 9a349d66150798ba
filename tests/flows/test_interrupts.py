"""Ctrl-C and SIGTERM: the command ends soon with a failure code, and nothing of it goes on."""

import os
import signal
import time
from pathlib import Path

import pytest

from flows.stages.rl import rl
from tasks.spine.store.store import Store
from tests.support.commands import STEP_BY_STEP, TRAINER, gone, processes, start, start_python, steps_logged
from tests.support.network import free_port
from tests.support.small import SMALL, run

pytestmark = pytest.mark.slow

LIMIT_S = 30
SERVER = "prefect.server.api.server:create_app"


@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_command_ends_all_it_started_and_a_rerun_finishes(
    in_new_home: Path, how: signal.Signals, code: int
) -> None:
    overrides = {**SMALL, **STEP_BY_STEP}
    command = start(in_new_home, "rl", overrides)
    command.wait_until(lambda: steps_logged(in_new_home, "rl") >= 2)
    assert processes(in_new_home, TRAINER)
    assert processes(in_new_home, "tasks.shared.verification.child")
    interrupt(command.process.pid, how)
    assert command.wait(LIMIT_S) == code, command.output
    assert gone(in_new_home, within_s=10)
    assert "a rerun goes on from what is done" in command.output
    store = Store.open()
    made = {manifest.stage: manifest.ref for manifest in store.all()}
    assert set(made) == {"questions", "model", "prompts"}
    again = run(rl, overrides=overrides)
    assert again.built == ["rl"]
    assert store.manifest(again.ref).summary["resumed_from_step"] > 0
    assert {ref.kind for ref in made.values()} <= {manifest.kind for manifest in store.all()}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_is_still_starting_leaves_no_server(tmp_path: Path, how: signal.Signals) -> None:
    home = tmp_path / "home"
    command = start(home, "questions", SMALL)
    command.wait_until(lambda: processes(home, SERVER))
    time.sleep(0.5)
    interrupt(command.process.pid, how)
    assert command.wait(LIMIT_S) not in (0, None)
    assert gone(home, within_s=10), command.output


def test_arms_at_the_same_time_end_together(tmp_path: Path) -> None:
    home = tmp_path / "home"
    command = start(home, "polya", {**SMALL, **STEP_BY_STEP, "rl.steps": 200, "runtime.concurrent_arms": 2})
    command.wait_until(lambda: len(processes(home, TRAINER)) == 2)
    interrupt(command.process.pid, signal.SIGINT)
    assert command.wait(LIMIT_S) == 130, command.output
    assert gone(home, within_s=10)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_the_servers_of_the_pages_end_with_their_command(tmp_path: Path, how: signal.Signals) -> None:
    home = tmp_path / "home"
    ports = ["--prefect-port", str(free_port()), "--mlflow-port", str(free_port())]
    command = start_python(home, ["-m", "flows.cli.app", "ui", *ports])
    command.wait_until(lambda: "Ctrl-C ends both" in command.output)
    interrupt(command.process.pid, how)
    assert command.wait(LIMIT_S) == 0, command.output
    assert gone(home, within_s=10)


def interrupt(pid: int, how: signal.Signals) -> None:
    """Ctrl-C reaches the whole foreground group of a terminal; `kill` reaches one process."""
    if how == signal.SIGINT:
        os.killpg(pid, how)
    else:
        os.kill(pid, how)
