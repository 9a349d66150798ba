"""A process that is asked to end chooses its own exit code."""

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.spine.process import has_ended, interrupts, own_host, own_identity

COMMAND = """
import signal, sys
from tasks.spine.process import Interrupted, interrupts

with interrupts():
    signal.signal(signal.SIGINT, {handler})
    try:
        # What runs from a string is where it matters: dataclasses and pydantic do so while they are imported.
        exec("signal.raise_signal(signal.SIGINT)")
    except {error}:
        print("caught")
sys.exit(3)
"""
SWALLOWED = """
import signal
import sys

from flows.cli.commands import interruptions
from flows.cli.console import console


class Thing:
    def __del__(self) -> None:
        signal.raise_signal(signal.{name})


with interruptions(console):
    Thing()
    print("went on", flush=True)
sys.exit(0)
"""


@pytest.mark.parametrize(
    ("error", "handler", "code"),
    [
        ("Interrupted", "signal.getsignal(signal.SIGINT)", 3),
        ("KeyboardInterrupt", "signal.default_int_handler", -signal.SIGINT),
    ],
    ids=["ours", "python's own, for which ours is there"],
)
def test_a_signal_inside_a_string_that_runs_leaves_the_exit_code(
    tmp_path: Path, error: str, handler: str, code: int
) -> None:
    ended = run(tmp_path, COMMAND.format(error=error, handler=handler))
    assert "caught" in ended.stdout, ended.stderr
    assert ended.returncode == code


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_a_command_whose_signal_a_library_swallowed_ends_as_interrupted(tmp_path: Path, how: signal.Signals) -> None:
    ended = run(tmp_path, SWALLOWED.format(name=how.name))
    assert ended.returncode == 128 + how, ended.stderr
    assert ended.stdout.splitlines() == ["went on", "Stopped; a rerun goes on from what is done."]


def test_a_swallowed_signal_is_still_noted() -> None:
    class Thing:
        def __del__(self) -> None:
            signal.raise_signal(signal.SIGTERM)

    with interrupts() as received:
        Thing()
    assert received == [signal.SIGTERM]


def run(folder: Path, program: str) -> "subprocess.CompletedProcess[str]":
    """Run a program as a module that is imported by its name, as commands are."""
    (folder / "command.py").write_text(program)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), os.getcwd()])}
    return subprocess.run([sys.executable, "-m", "command"], env=environment, capture_output=True, text=True)


def test_only_processes_of_the_own_space_of_numbers_are_known_to_have_ended() -> None:
    """Containers may share a machine's name, and each begins to number its processes anew."""
    free = f"{2**22 + 1}@0.00"
    assert has_ended(f"{own_host()}:{free}")
    assert has_ended(f"{socket.gethostname()}:{free}"), "written by an older version"
    assert not has_ended(f"{socket.gethostname()}/1:{free}")
    assert not has_ended(f"elsewhere:{free}")
    assert not has_ended(own_identity())
