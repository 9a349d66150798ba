"""A pool of killable grader processes: one verdict for each pair, always, within a bound.

Computer algebra can hang with the interpreter lock held, so neither signals nor threads can stop it; only
killing its process can. The parent watches the clock of the answer at the head of each worker's queue. When
it runs out, or when the worker dies, that one answer gets its verdict and the rest of the queue goes to
another worker.
"""

import select
import threading
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.process import GraderProcess, GradingRequest
from tasks.shared.verification.verdict import Verdict

START_TIMEOUT_S = 120.0
MAX_FAILED_STARTS = 3
QUEUE_DEPTH = 32
"""Requests handed to a worker ahead of its replies: hides the round trip (ours)."""


class _Queue:
    """Numbered requests: those taken back from a dead worker first, then the caller's, read one at a time."""

    def __init__(self, pairs: Iterable[tuple[str, str]]) -> None:
        self._fresh = (GradingRequest(number, *pair) for number, pair in enumerate(pairs))
        self._returned: deque[GradingRequest] = deque()

    def give_back(self, requests: Iterable[GradingRequest]) -> None:
        """Put back requests that a worker took and did not answer."""
        self._returned.extend(requests)

    def take(self) -> GradingRequest | None:
        """Take the next request; None where there is none left."""
        return self._returned.popleft() if self._returned else next(self._fresh, None)


@dataclass(slots=True)
class _Worker:
    """A process and the time by which it must have started, or have answered the head of its queue."""

    process: GraderProcess
    deadline: float

    def restart_clock(self, timeout_s: float) -> None:
        """Give a started process `timeout_s` seconds from now on."""
        if self.process.ready:
            self.deadline = time.monotonic() + timeout_s

    @property
    def late(self) -> bool:
        """Whether the process has let its deadline pass with a request in hand."""
        return bool(self.process.outstanding) and time.monotonic() > self.deadline


class VerifierPool:
    """Grades (completion, gold) pairs in child processes that are kept between calls.

    `num_workers` processes of at most `memory_mb` MiB of address space each are started at the first use.
    `timeout_s` is the hard limit for one answer (wall clock, seconds) and replaces `config.timeout_s` when
    given. May be used from any thread; calls from several threads queue up. Use it as a context manager or
    call `close`; the workers also end with the process that owns the pool, however it ends (Linux).

    Raises RuntimeError where workers cannot be started at all.
    """

    def __init__(
        self,
        num_workers: int = 1,
        timeout_s: float | None = None,
        memory_mb: int = 2_048,
        *,
        config: VerificationConfig | None = None,
    ) -> None:
        if num_workers < 1:
            raise ValueError(f"num_workers is {num_workers}; at least 1 grader process is needed")
        settings = (config or VerificationConfig()).model_dump()
        if timeout_s is not None:
            settings["timeout_s"] = timeout_s
        self.config = VerificationConfig.model_validate(settings)
        self._num_workers = num_workers
        self._memory_mb = memory_mb
        self._workers: list[_Worker] = []
        self._failed_starts = 0
        self._lock = threading.Lock()
        self._owner: int | None = None
        # A child dies with the thread that started it, and callers' threads come and go: this one stays.
        self._starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="verifier-starter")
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill every worker and wait until it is gone. Idempotent."""
        with nullcontext() if self._owner == threading.get_ident() else self._lock:
            self._closed = True
            for worker in self._workers:
                worker.process.kill()
            self._workers.clear()
            self._starter.shutdown()

    def worker_pids(self) -> list[int]:
        """Process ids of the running workers."""
        return [worker.process.pid for worker in self._workers]

    def verify(self, pairs: Iterable[tuple[str, str]]) -> list[Verdict]:
        """Verdicts of (completion, gold) pairs, in their order, exactly one for each pair."""
        return list(self.stream(pairs))

    def stream(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Verdict]:
        """Yield verdicts in order, lazily: `pairs` are read only as fast as they are graded."""
        waiting: dict[int, Verdict] = {}
        following = 0
        for number, verdict in self._run(pairs):
            waiting[number] = verdict
            while following in waiting:
                yield waiting.pop(following)
                following += 1

    def _run(self, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[int, Verdict]]:
        if self._owner == threading.get_ident():
            raise RuntimeError("this thread is still reading a stream of the pool; finish or close that first")
        with self._lock:
            if self._closed:
                raise RuntimeError("the verifier pool is closed")
            self._owner = threading.get_ident()
            try:
                yield from self._serve(_Queue(pairs))
            finally:
                self._owner = None
                for worker in [worker for worker in self._workers if worker.process.outstanding]:
                    self._discard(worker)

    def _serve(self, queue: _Queue) -> Iterator[tuple[int, Verdict]]:
        while True:
            self._feed(queue)
            if not any(worker.process.outstanding for worker in self._workers):
                return
            self._wait()
            # The caller may be slow to take a verdict, so no clock is looked at between two of them.
            arrived = [result for worker in list(self._workers) for result in self._attend(worker, queue)]
            yield from arrived

    def _feed(self, queue: _Queue) -> None:
        """Deal requests evenly, one to each worker in turn, until the queues are full or nothing is left."""
        exhausted = False
        while not exhausted:
            self._start_missing()
            open_workers = [w for w in self._workers if len(w.process.outstanding) < QUEUE_DEPTH]
            if not open_workers:
                return
            for worker in open_workers:
                request = queue.take()
                if request is None:
                    exhausted = True
                    break
                if not worker.process.outstanding:
                    worker.restart_clock(self.config.timeout_s)
                worker.process.enqueue(request)

    def _start_missing(self) -> None:
        while len(self._workers) < self._num_workers:
            process = self._starter.submit(GraderProcess, self.config, self._memory_mb).result()
            self._workers.append(_Worker(process, time.monotonic() + START_TIMEOUT_S))

    def _wait(self) -> None:
        """Sleep until a pipe is ready or the next deadline has passed; move requests into the pipes."""
        poll = select.poll()
        by_request_pipe = {}
        for worker in self._workers:
            poll.register(worker.process.replies_fd, select.POLLIN)
            if worker.process.has_unsent:
                poll.register(worker.process.requests_fd, select.POLLOUT)
                by_request_pipe[worker.process.requests_fd] = worker.process
        next_deadline = min(worker.deadline for worker in self._workers if worker.process.outstanding)
        for descriptor, _ in poll.poll(max(0.0, next_deadline - time.monotonic()) * 1000 + 1):
            if descriptor in by_request_pipe:
                by_request_pipe[descriptor].send()

    def _attend(self, worker: _Worker, queue: _Queue) -> list[tuple[int, Verdict]]:
        """Collect a worker's verdicts; where it died or is late, decide the request it was busy with."""
        was_ready = worker.process.ready
        results, alive = worker.process.receive()
        if results or worker.process.ready != was_ready:
            worker.restart_clock(self.config.timeout_s)
            self._failed_starts = 0
        if alive and not worker.late:
            return results
        started = worker.process.ready
        requests = worker.process.outstanding
        ending = self._discard(worker)
        if not started:
            self._count_failed_start(ending)
        elif requests:
            late_by_clock = alive
            verdict = (
                Verdict("timeout", None, f"no verdict within {self.config.timeout_s:g} s", self.config.timeout_s)
                if late_by_clock
                else Verdict("error", None, f"the grader process died with {ending}")
            )
            results.append((requests.popleft().number, verdict))
        queue.give_back(requests)
        return results

    def _discard(self, worker: _Worker) -> str:
        self._workers.remove(worker)
        return worker.process.kill()

    def _count_failed_start(self, ending: str) -> None:
        self._failed_starts += 1
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise RuntimeError(
                f"the grader process failed to start {self._failed_starts} times in a row; last: {ending}. "
                f"Raise memory_mb (now {self._memory_mb}) if memory ran out; check that math_verify imports"
            )
