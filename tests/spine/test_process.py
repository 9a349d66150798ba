"""A process that is asked to end chooses its own exit code."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = """
import signal, sys
from tasks.spine.process import Interrupted, interrupt

signal.signal(signal.SIGINT, {handler})
try:
    # What runs from a string is where it matters: dataclasses and pydantic do so while they are imported.
    exec("signal.raise_signal(signal.SIGINT)")
except {error}:
    print("caught")
sys.exit(3)
"""


@pytest.mark.parametrize(
    ("error", "handler", "code"),
    [("Interrupted", "interrupt", 3), ("KeyboardInterrupt", "signal.default_int_handler", -signal.SIGINT)],
    ids=["ours", "python's own, for which ours is there"],
)
def test_a_signal_inside_a_string_that_runs_leaves_the_exit_code(
    tmp_path: Path, error: str, handler: str, code: int
) -> None:
    (tmp_path / "command.py").write_text(COMMAND.format(error=error, handler=handler))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), os.getcwd()])}
    ended = subprocess.run([sys.executable, "-m", "command"], env=environment, capture_output=True, text=True)
    assert "caught" in ended.stdout, ended.stderr
    assert ended.returncode == code
