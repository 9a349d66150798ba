"""The child's side of a stage: a program that owns the accelerator, reads one job and reports through files.

`launch.py` beside this starts `python -m tasks.<room>.worker WORK_DIR`. In that folder the child finds `job.json`,
appends to `progress.jsonl` and `metrics.jsonl` (to `warnings.jsonl` what its log warns of, and to `asked.jsonl`, if it
wants more to do), and writes `result.json` last, under a temporary name that is then renamed: a result that can be read
is whole. An error goes to `error.json` with a flag that says whether a retry could mend it.
Workers import neither Prefect nor MLflow, so that the GPU environment may be another one than the flows'.
"""

import contextlib
import ctypes
import errno
import json
import logging
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO, TypeVar

import psutil
from pydantic import BaseModel

from tasks.errors import Permanent

JobT = TypeVar("JobT", bound=BaseModel)

_PR_SET_PDEATHSIG = 1
ASKED_FILE, ANSWER = "asked.jsonl", "answer"
"""Where a worker asks what is next, and the beginning of the names of the files that answer."""
WARNINGS_FILE = "warnings.jsonl"
MOST_WARNINGS = 20
"""Warnings of one worker that its parent repeats (ours): there may be one for every sample."""
CHILD_GRACE_S = 5.0
MAIN_POLL_S = 0.1
MAIN_PATIENCE_S = 3600.0
"""Longest that a process waits for the main one to write its result: longer than any model takes to be written."""
FULL_BELOW_BYTES = 1 << 16
"""A disk with less room than this is taken for full: some libraries do not say why a write failed."""


def is_main_process() -> bool:
    """Whether this process speaks for its worker: the first of those that a distributed launcher started, or the only.

    The others train along and write neither progress nor results.
    """
    return os.environ.get("RANK", "0") == "0"


def await_main_process(work_dir: Path) -> None:
    """Wait until the main process of this machine has written its result, or any has written an error.

    The launcher ends all processes as soon as one ends badly, as vLLM's engine may when the interpreter ends: this one
    must not, while the main process is still writing a model.
    """
    if os.environ.get("GROUP_RANK", "0") != "0":
        return
    until = time.monotonic() + MAIN_PATIENCE_S
    while time.monotonic() < until and not any((work_dir / name).exists() for name in ("result.json", "error.json")):
        time.sleep(MAIN_POLL_S)


class Reporter:
    """Appends progress and metric lines that the parent reads while the worker runs; one that is `silent` does not."""

    def __init__(self, work_dir: Path, *, silent: bool = False) -> None:
        self._work_dir = work_dir
        self._progress_path = work_dir / "progress.jsonl"
        self._metrics_path = work_dir / "metrics.jsonl"
        self._silent = silent
        self._asked = 0

    def progress(self, done: int, total: int, unit: str, **values: float) -> None:
        """`done` of `total` `unit`s; `values` are shown beside the bar (tokens_per_s, reward, ...)."""
        self._append(self._progress_path, {"done": done, "total": total, "unit": unit, "values": values})

    def metrics(self, step: int, **values: float) -> None:
        """Metric values of one training step; the parent sends them to MLflow in batches."""
        self._append(self._metrics_path, {"step": step, "time": time.time(), "values": values})

    def ask(self) -> dict[str, Any]:
        """What the parent says that is to be done next: for a worker that lives on between its jobs."""
        self._asked += 1
        answer = self._work_dir / f"{ANSWER}-{self._asked}.json"
        self._append(self._work_dir / ASKED_FILE, {"number": self._asked})
        while not answer.exists():
            time.sleep(MAIN_POLL_S)
        return json.loads(answer.read_text())

    def _append(self, path: Path, line: dict[str, Any]) -> None:
        if self._silent:
            return
        with path.open("a") as file:
            file.write(json.dumps(line) + "\n")


class _Warnings(logging.StreamHandler[TextIO]):
    """Writes what is warned of into the worker's log, and into a file for its parent, which alone a user sees."""

    def __init__(self, work_dir: Path) -> None:
        super().__init__()
        self.setLevel(logging.WARNING)
        self._path, self._left = work_dir / WARNINGS_FILE, MOST_WARNINGS

    def emit(self, record: logging.LogRecord) -> None:
        super().emit(record)
        self._left -= 1
        if self._left < 0:
            return
        more = "" if self._left else f" (further warnings stand in {self._path.with_name('worker.log')})"
        with contextlib.suppress(OSError), self._path.open("a") as file:
            file.write(json.dumps({"logger": record.name, "text": record.getMessage() + more}) + "\n")


def die_with_parent(by: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel to end this process when its parent dies, `kill -9` included (Linux, prctl(2))."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, by, 0, 0, 0)


def check_parent() -> None:
    """End this process if its launcher died before `die_with_parent` could take effect."""
    launcher = os.environ.get("MIDTRAIN_PARENT_PID")
    if launcher and int(launcher) not in [parent.pid for parent in psutil.Process().parents()]:
        sys.exit("the launching process was gone before the worker started")


def end_children() -> None:
    """End what this worker started and left running (engines, verifiers): its launcher may be gone and cannot."""
    if "MIDTRAIN_PARENT_PID" not in os.environ:
        return
    children = psutil.Process().children(recursive=True)
    for child in children:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.terminate()
    for child in psutil.wait_procs(children, timeout=CHILD_GRACE_S)[1]:
        with contextlib.suppress(psutil.NoSuchProcess):
            child.kill()


def is_disk_full(error: BaseException | None, folder: Path) -> bool:
    """True where an error, or one that led to it, says that no space is left, or `folder` has none."""
    while error is not None:
        if getattr(error, "errno", None) == errno.ENOSPC or "no space left" in str(error).lower():
            return True
        error = error.__cause__ or error.__context__
    return shutil.disk_usage(folder).free < FULL_BELOW_BYTES


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write JSON so that a reader sees the whole of it or nothing."""
    temporary = path.with_suffix(f".tmp-{os.getpid()}")
    temporary.write_text(json.dumps(value, indent=1))
    temporary.replace(path)


def write_error(work_dir: Path, error: Exception) -> None:
    """Write `error.json`, unless another process of this worker has: what fails after the first is a consequence."""
    permanent = isinstance(error, Permanent | ValueError | TypeError | FileNotFoundError)
    temporary = work_dir / f"error.tmp-{os.getpid()}"
    write_json(temporary, {"type": type(error).__name__, "message": str(error), "permanent": permanent})
    with contextlib.suppress(FileExistsError):
        os.link(temporary, work_dir / "error.json")
    temporary.unlink()


def worker_main(job_type: type[JobT], run: Callable[[JobT, Reporter], dict[str, Any]]) -> None:
    """Entry point of every worker: `run(job, reporter)` returns the small JSON that the parent gets back."""
    work_dir = Path(sys.argv[1])
    die_with_parent()
    check_parent()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    if is_main_process():
        logging.getLogger("tasks").addHandler(_Warnings(work_dir))
    try:
        job = job_type.model_validate_json((work_dir / "job.json").read_bytes())
        result = run(job, Reporter(work_dir, silent=not is_main_process()))
    except Exception as error:
        # Neither the log nor error.json may have room; the exit code needs none.
        if is_disk_full(error, work_dir):
            with contextlib.suppress(OSError):
                traceback.print_exc()
            sys.exit(errno.ENOSPC)
        traceback.print_exc()
        write_error(work_dir, error)
        sys.exit(1)
    else:
        if is_main_process():
            write_json(work_dir / "result.json", result)
        else:
            await_main_process(work_dir)
    finally:
        end_children()
