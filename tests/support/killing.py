"""Kills a worker in the middle of its work."""

import os
import signal
import threading
import time
from pathlib import Path


class Killer(threading.Thread):
    """Waits for metrics of the work folder `work`, then kills the processes that were started for it."""

    def __init__(self, work: Path, lines: int) -> None:
        super().__init__(daemon=True)
        self.killed: list[int] = []
        self._work, self._lines = work, lines

    def run(self) -> None:
        metrics = self._work / "metrics.jsonl"
        while not metrics.exists() or metrics.read_text().count("\n") < self._lines:
            time.sleep(0.01)
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and str(self._work) in _command(process):
                os.kill(int(process.name), signal.SIGKILL)
                self.killed.append(int(process.name))


def kill_when(work: Path, lines: int) -> Killer:
    """SIGKILL the worker of the folder `work` once its metrics have that many lines."""
    killer = Killer(work, lines)
    killer.start()
    return killer


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""
