"""Kills a worker in the middle of its work."""

import os
import signal
import threading
import time
from pathlib import Path


def kill_when(work: Path, lines: int) -> threading.Thread:
    """SIGKILL the worker of the folder `work` once its metrics have that many lines."""
    metrics = work / "metrics.jsonl"

    def watch() -> None:
        while not metrics.exists() or metrics.read_text().count("\n") < lines:
            time.sleep(0.01)
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and str(work) in _command(process):
                os.kill(int(process.name), signal.SIGKILL)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    return thread


def _command(process: Path) -> str:
    try:
        return (process / "cmdline").read_text()
    except OSError:
        return ""
