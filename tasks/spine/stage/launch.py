"""The only place that starts worker processes, and the only one that ends them.

The parent polls, keeps its own deadline, and ends the whole process tree within `GRACE_S` of a cancel: Prefect's
process worker sends SIGTERM and, 30 s later, SIGKILL, so the tree must be gone before that. The child asks the
kernel for SIGTERM when the parent dies (`die_with_parent` in `worker.py`), so not even `kill -9` here leaves it behind.
"""

import contextlib
import errno
import json
import logging
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO

import psutil
from pydantic import BaseModel

from tasks.errors import Permanent
from tasks.spine.stage.context import entered_context
from tasks.spine.stage.worker import ANSWER, ASKED_FILE, WARNINGS_FILE, write_json
from tasks.spine.stage.worker_environment import worker_environment

log = logging.getLogger(__name__)

GRACE_S = 20.0
POLL_S = 0.2
_MARK = "MIDTRAIN_WORKER"
"""Environment variable whose value every process of one worker inherits, and no other has."""
OnLine = Callable[[dict[str, Any]], None]


class Stopped(BaseException):
    """The main thread was told to end, and this one with it."""


def check_stop() -> None:
    """Raise `Stopped` once the main thread was told to end; to be called while waiting."""
    context = entered_context()
    if context is not None and context.stop is not None and context.stop.is_set():
        raise Stopped


class WorkerFailed(Exception):
    """A worker ended without a result; the message holds its own error and the end of its log."""


class WorkerTimeout(WorkerFailed):
    """A worker was ended because it ran past its deadline."""


@dataclass
class _Tail:
    """Reads the new, whole lines of a JSONL file that another process appends to."""

    path: Path
    position: int = field(init=False)

    def __post_init__(self) -> None:
        self.position = self.path.stat().st_size if self.path.exists() else 0

    def lines(self) -> Iterator[dict[str, Any]]:
        if not self.path.exists():
            return
        with self.path.open("rb") as file:
            file.seek(self.position)
            for raw in file:
                if not raw.endswith(b"\n"):
                    break
                self.position += len(raw)
                try:
                    yield json.loads(raw)
                except ValueError as error:
                    # A line that was cut, as on a full disk, runs into the next one.
                    log.warning("a line of %s cannot be read and is left out: %s", self.path, error)


def run_worker(
    module: str,
    job: BaseModel,
    work_dir: Path,
    *,
    timeout_s: float,
    on_progress: OnLine = lambda _: None,
    on_metrics: OnLine = lambda _: None,
    answer: Callable[[], dict[str, Any]] = dict,
    env: Mapping[str, str] | None = None,
    prefix: Sequence[str] = (),
) -> dict[str, Any]:
    """Run `python -m module work_dir` to its end and return what it wrote to `result.json`.

    Args:
        module: program with a `worker_main` call, e.g. `tasks.rl.worker`.
        job: written to `job.json`, the child's whole input.
        work_dir: folder that survives a crash, so that training can resume from its checkpoints.
        timeout_s: seconds before the process tree is ended and `WorkerTimeout` raised.
        on_progress, on_metrics: called with each line the child reports.
        answer: says what is next to a child that asks; it then has the whole of `timeout_s` again.
        env: added to the child's environment.
        prefix: put between the interpreter and `-m`, e.g. what `tasks.shared.training.accelerate` makes.

    Raises:
        Permanent: the child says that a retry cannot help.
        OSError: the child found a disk full.
        WorkerFailed, WorkerTimeout: it died, or ran out of time; both may be retried.
    """
    work_dir.mkdir(parents=True, exist_ok=True)
    for stale in (*work_dir.glob(f"{ANSWER}-*"), work_dir / "result.json", work_dir / "error.json"):
        stale.unlink(missing_ok=True)
    (work_dir / "job.json").write_text(job.model_dump_json(indent=1))
    deadline = time.monotonic() + timeout_s

    def reply(line: dict[str, Any]) -> None:
        nonlocal deadline
        write_json(work_dir / f"{ANSWER}-{line['number']}.json", answer())
        deadline = time.monotonic() + timeout_s

    tails = [
        (_Tail(work_dir / "progress.jsonl"), on_progress),
        (_Tail(work_dir / "metrics.jsonl"), on_metrics),
        (_Tail(work_dir / ASKED_FILE), reply),
        (_Tail(work_dir / WARNINGS_FILE), _repeat),
    ]
    with (work_dir / "worker.log").open("a") as file, _process(module, work_dir, file, env, prefix) as child:
        while child.poll() is None:
            check_stop()
            if time.monotonic() > deadline:
                raise WorkerTimeout(f"{module} ran past its {timeout_s:.0f} s; log: {work_dir / 'worker.log'}")
            time.sleep(POLL_S)
            _drain(tails)
        _drain(tails)
    result = work_dir / "result.json"
    if not result.exists():
        raise _failure(module, work_dir, child.returncode)
    if child.returncode != 0:
        log.warning("%s had finished when it ended with exit code %d", module, child.returncode)
    return json.loads(result.read_text())


@contextlib.contextmanager
def _process(
    module: str, work_dir: Path, log: TextIO, env: Mapping[str, str] | None, prefix: Sequence[str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Start the child; whatever ends the `with` block (return, cancel, Ctrl-C) ends the child's whole tree."""
    environment = {**worker_environment(), **(env or {}), _MARK: uuid.uuid4().hex}
    command = [sys.executable, *prefix, "-m", module, str(work_dir)]
    child = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=environment,
        cwd=work_dir,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        end_tree(child.pid, mark=environment[_MARK])
        child.wait()


def end_tree(pid: int, grace_s: float = GRACE_S, *, mark: str = "") -> None:
    """SIGTERM a worker and all it started, wait `grace_s` seconds, then SIGKILL what is left of them."""
    tree = _tree(pid, mark)
    for process in tree:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, alive = psutil.wait_procs(tree, timeout=grace_s)
    for process in alive:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()


def _tree(pid: int, mark: str) -> list[psutil.Process]:
    """A worker, its descendants, and those of its session or its mark, which may have lost their parent.

    A distributed launcher gives each process a session of its own.
    """
    tree: set[psutil.Process] = set()
    with contextlib.suppress(psutil.NoSuchProcess):
        root = psutil.Process(pid)
        tree |= {root, *root.children(recursive=True)}
    for process in psutil.process_iter():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(process.pid) == pid or (mark and process.environ().get(_MARK) == mark):
                tree.add(process)
    return list(tree)


def _repeat(line: dict[str, Any]) -> None:
    """A worker's warning where its user looks."""
    logging.getLogger(line["logger"]).warning("%s", line["text"])


def _drain(tails: Sequence[tuple[_Tail, OnLine]]) -> None:
    for tail, callback in tails:
        for line in tail.lines():
            callback(line)


def _failure(module: str, work_dir: Path, returncode: int) -> Exception:
    log = work_dir / "worker.log"
    error_path = work_dir / "error.json"
    if returncode == errno.ENOSPC:
        return OSError(errno.ENOSPC, f"No space left for {module}; log: {log}")
    if error_path.exists():
        error = json.loads(error_path.read_text())
        message = f"{error['type']}: {error['message']} (in {module}; log: {log})"
        return Permanent(message) if error["permanent"] else WorkerFailed(message)
    tail = "".join(log.read_text(errors="replace").splitlines(keepends=True)[-20:])
    return WorkerFailed(f"{module} ended with exit code {returncode} and no result; the end of {log}:\n{tail}")
