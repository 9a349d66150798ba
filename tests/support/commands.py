"""Commands of this project as processes of their own, to be killed, interrupted and counted."""

import contextlib
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pyarrow.parquet as pq

from tasks.spine.store.manifest import Manifest
from tests.support.paths import ROOT

RUN = """
import json, sys
from flows.cli.commands import run_and_show
from flows.cli.console import terminal
verbose = sys.argv[3] == "verbose"
sys.exit(run_and_show(sys.argv[1], json.loads(sys.argv[2]), terminal(width=200), verbose))
"""
"""What `midtrain run` does, for every flow."""
GENERATION, TRAINER = "tasks.shared.sampling.worker", "tasks.rl.worker"
SLOWLY = {"questions.tiny.count": 32, "runtime.batch_size": 8, "runtime.flush_rows": 16, "runtime.num_threads": 1}
"""Overrides under which generation takes a dozen batches: time for a fault in the middle."""
STEP_BY_STEP = {"rl.steps": 12, "runtime.save_every_steps": 1, "runtime.num_threads": 1}
"""Overrides under which RL takes a dozen checkpoints."""


@dataclass
class Command:
    """A started command, leader of a process group as in a terminal."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def output(self) -> str:
        """All it printed so far."""
        return self.log.read_text(errors="replace")

    def wait(self, timeout_s: float = 480) -> int:
        """Its exit code."""
        try:
            return self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"still running after {timeout_s:.0f} s:\n{self.output}") from None

    def stages(self, how: str) -> list[str]:
        """Stages that its table says were `built now` or from the `store`."""
        return re.findall(rf"^│ (\S+) +│ {how} ", self.output, re.MULTILINE)

    def wait_until(self, condition: Callable[[], Any], timeout_s: float = 180) -> None:
        """Wait for something to come true while the command runs."""

        def check() -> bool:
            assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.output}"
            return condition()

        wait_until(check, timeout_s)


def wait_until(condition: Callable[[], Any], timeout_s: float = 180) -> None:
    """Wait for something to come true."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"waited {timeout_s:.0f} s in vain"
        # Most conditions look at all processes of the machine, which has other work to do.
        time.sleep(0.05)


def start(home: Path, flow: str, overrides: dict[str, Any], verbose: bool = True, **environment: str) -> Command:
    """Start a flow as a command, on its own temporary Prefect server."""
    parameters = json.dumps({"overrides": overrides})
    return start_python(home, ["-c", RUN, flow, parameters, "verbose" if verbose else "short"], **environment)


def start_python(home: Path, arguments: list[str], **environment: str) -> Command:
    """Start a program of this project in a home."""
    home.mkdir(parents=True, exist_ok=True)
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "MIDTRAIN_", "MLFLOW_"))
    }
    log = home.parent / f"{home.name}-{time.monotonic_ns()}.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**inherited, "MIDTRAIN_HOME": str(home), **environment},
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return Command(process, log)


def processes(home: Path, program: str = "") -> list[psutil.Process]:
    """Every process that works in a home, whoever its parent is now, and has `program` in its command line."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("MIDTRAIN_HOME") != str(home) or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if program in " ".join(process.cmdline()):
                found.append(process)
    return found


def gone(home: Path, program: str = "", within_s: float = 20) -> bool:
    """True once no such process is left; False, with a word on what is left, where they outlast the time."""
    deadline = time.monotonic() + within_s
    while left := processes(home, program):
        if time.monotonic() > deadline:
            print("left:", [process.cmdline() for process in left])
            return False
        time.sleep(0.2)
    return True


def batches(home: Path) -> list[Path]:
    """Batch files of the sample pool."""
    return sorted((home / "store" / "pool").glob("*/[!.]*.parquet"))


def pooled(home: Path) -> list[str]:
    """Keys of all pooled samples, as often as they were generated."""
    return [key for path in batches(home) for key in pq.read_table(path, columns=["key"])["key"].to_pylist()]


def steps_logged(home: Path, stage: str) -> int:
    """Metric lines of a stage that is being built."""
    return sum(path.read_text().count("\n") for path in (home / "work").glob(f"{stage}-*/worker/metrics.jsonl"))


def check_resumed(manifest: Manifest, steps: int) -> None:
    """All steps of a training were made, each once, from a checkpoint on."""
    assert manifest.summary["resumed_from_step"] > 0
    assert manifest.rows["steps"] == steps
    assert [point["step"] for point in manifest.summary["curve"]] == list(range(1, steps + 1))
