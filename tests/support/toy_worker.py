"""A worker that does what its job says: succeed, fail in each way a worker can, or hang with a child of its own."""

import atexit
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Literal

from tasks.config import Frozen
from tasks.errors import Permanent
from tasks.spine.stage.worker import Reporter, is_main_process, worker_main


class ToyJob(Frozen):
    mode: Literal[
        "ok", "permanent", "bad-value", "broken", "killed", "silent", "hang", "second-fails", "aborts", "second-aborts"
    ] = "ok"
    steps: int = 3
    pids: str = ""
    """File for the process ids of this worker and of a grandchild that ignores SIGTERM; empty starts none."""
    asks: int = 0
    """How often it asks what is next."""
    warns: int = 0
    """How often it warns."""
    shows: tuple[str, ...] = ()
    """Environment variables that the result has, where they are set."""


def start_grandchild(path: Path) -> None:
    code = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
    grandchild = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert grandchild.stdout is not None
    grandchild.stdout.readline()
    path.with_suffix(".tmp").write_text(f"{os.getpid()} {grandchild.pid}")
    path.with_suffix(".tmp").rename(path)


def run(job: ToyJob, reporter: Reporter) -> dict[str, Any]:
    if job.pids:
        start_grandchild(Path(job.pids))
    for number in range(job.warns):
        logging.getLogger("tasks.toy").warning("%d of %d is odd", number, job.warns)
    for step in range(1, job.steps + 1):
        reporter.progress(step, job.steps, "steps", tokens_per_s=10.0 * step)
        reporter.metrics(step, loss=1.0 / step)
    match job.mode:
        case "permanent":
            raise Permanent("the model does not fit")
        case "bad-value":
            raise ValueError("field steps: 3 is odd")
        case "broken":
            raise RuntimeError("connection reset")
        case "killed":
            print("last words of the worker", flush=True)
            os.kill(os.getpid(), signal.SIGKILL)
        case "silent":
            os._exit(0)
        case "aborts":
            atexit.register(os.abort)
        case "second-aborts" if is_main_process():
            time.sleep(3)
        case "second-aborts":
            atexit.register(os.abort)
        case "second-fails" if not is_main_process():
            raise Permanent("the second process cannot go on")
        case "hang" | "second-fails":
            time.sleep(600)
    answers = {"answers": [reporter.ask() for _ in range(job.asks)]} if job.asks else {}
    return {"steps": job.steps, **answers, **{name: os.environ[name] for name in job.shows if name in os.environ}}


if __name__ == "__main__":
    worker_main(ToyJob, run)
