"""A pool of killable graders: one verdict for each pair, always, within a bound.

Computer algebra can hang with the interpreter lock held, so neither Python's signals nor threads can stop it; only
ending its process can. The kernel does so when an answer has used up its CPU time; that answer is a timeout, the rest
of its queue goes to a fresh grader, which a warm process forks in milliseconds. An answer whose grader ended for
another reason is tried once more: what killed it may have had nothing to do with the answer.
"""

import os
import select
import signal
import threading
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from types import TracebackType
from typing import Self

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.process import GraderProcess, GradingRequest, Lane, WarmProcess, WarmProcessGone
from tasks.shared.verification.protocol import OUT_OF_MEMORY, OUT_OF_TIME
from tasks.shared.verification.verdict import Verdict

MAX_FAILED_STARTS = 3
QUEUE_DEPTH = 128
"""Requests handed to a grader ahead of its replies: hides the round trip (ours)."""
GATHER_S = 0.0005
"""Time that replies are left to gather while every grader has plenty to do: being woken costs more than most verdicts
(ours)."""
LOOKAHEAD = 384
"""Pairs read ahead for each grader: golds come in runs, and each goes to its own grader (ours)."""
WALL_CLOCK_FACTOR = 60
"""Wall-clock seconds for each second of CPU time until a grader is taken for stuck: a backstop that a busy machine does
not reach (ours)."""
_FROM_OUTSIDE = (None, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGHUP, -signal.SIGINT)
"""Endings that no answer causes; None: the warm process was lost, and its graders with it."""


class VerifierPool:
    """Grades (completion, gold) pairs in child processes that are kept between calls.

    `num_workers` graders of at most `memory_mb` MiB of address space each are started when there is work for them;
    each gold answer always goes to the same one, which has read it already. `timeout_s` is the CPU time of one answer
    (seconds) and replaces `config.timeout_s` when given. May be used from any thread; calls from several threads queue
    up. Use it as a context manager or call `close`; the graders also end with the process that owns the pool, however
    it ends. A process forked from that one has to make a pool of its own.

    Raises RuntimeError where graders cannot be started at all, or where one is killed from outside twice over the same
    answer: then there is no verdict to give.
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
        self._memory_mb = memory_mb
        self._warm: WarmProcess | None = None
        self._lanes = [Lane() for _ in range(num_workers)]
        self._tried: set[int] = set()
        self._lock = threading.Lock()
        self._owner: int | None = None
        self._process_id = os.getpid()
        self._closed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Kill every grader and wait until it is gone. Idempotent."""
        with nullcontext() if self._owner == threading.get_ident() else self._lock:
            self._closed = True
            if self._warm and self._process_id == os.getpid():
                self._lose_warm_process()

    def worker_pids(self) -> list[int]:
        """Process ids of the running graders."""
        return [lane.grader.pid for lane in self._lanes if lane.grader]

    def verify(self, pairs: Iterable[tuple[str, str]]) -> list[Verdict]:
        """Verdicts of (completion, gold) pairs, in their order, exactly one for each pair."""
        return list(self.stream(pairs))

    def stream(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Verdict]:
        """Yield verdicts in order, lazily: `pairs` are read only as fast as they are graded."""
        arrived: dict[int, Verdict] = {}
        following = 0
        for number, verdict in self._run(pairs):
            arrived[number] = verdict
            while following in arrived:
                yield arrived.pop(following)
                following += 1

    def _run(self, pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[int, Verdict]]:
        if self._owner == threading.get_ident():
            raise RuntimeError("this thread is still reading a stream of the pool; finish or close that first")
        if self._process_id != os.getpid():
            raise RuntimeError("the verifier pool belongs to the process that made it; make another in this one")
        with self._lock:
            if self._closed:
                raise RuntimeError("the verifier pool is closed")
            self._owner = threading.get_ident()
            try:
                yield from self._serve(GradingRequest(number, *pair) for number, pair in enumerate(pairs))
            finally:
                self._owner = None
                self._tried.clear()
                for lane in self._lanes:
                    lane.waiting.clear()
                    if lane.grader and lane.grader.outstanding:
                        self._discard(lane)

    def _serve(self, requests: Iterator[GradingRequest]) -> Iterator[tuple[int, Verdict]]:
        while True:
            self._read_ahead(requests)
            busy = [lane for lane in self._lanes if lane.held]
            if not busy:
                return
            for lane in busy:
                self._feed(lane)
            self._wait()
            # The caller may be slow to take a verdict, so no clock is looked at between two of them.
            yield from [result for lane in busy for result in self._attend(lane)]

    def _read_ahead(self, requests: Iterator[GradingRequest]) -> None:
        room = LOOKAHEAD * len(self._lanes) - sum(lane.held for lane in self._lanes)
        if room < QUEUE_DEPTH // 2:
            return
        for _, request in zip(range(room), requests, strict=False):
            lane = zlib.crc32(request.gold.encode(errors="surrogatepass")) % len(self._lanes)
            self._lanes[lane].waiting.append(request)

    def _feed(self, lane: Lane) -> None:
        if lane.grader is None:
            lane.grader = self._fork()
        if not lane.grader.outstanding:
            self._restart_clock(lane)
        # Refilled when it is half empty: one system call then moves many requests.
        room = QUEUE_DEPTH - len(lane.grader.outstanding)
        if room >= QUEUE_DEPTH // 2 and lane.waiting:
            lane.grader.enqueue([lane.waiting.popleft() for _ in range(min(room, len(lane.waiting)))])
        if lane.grader.has_unsent:
            lane.grader.send()

    def _restart_clock(self, lane: Lane) -> None:
        lane.deadline = time.monotonic() + WALL_CLOCK_FACTOR * self.config.timeout_s

    def _fork(self) -> GraderProcess:
        if self._closed:
            raise RuntimeError("the verifier pool is closed")
        for attempt in range(1, MAX_FAILED_STARTS + 1):
            self._warm = self._warm or WarmProcess(self.config, self._memory_mb)
            try:
                return self._warm.fork()
            except WarmProcessGone as gone:
                self._lose_warm_process()
                if attempt == MAX_FAILED_STARTS:
                    raise RuntimeError(
                        f"the grader process failed to start {attempt} times in a row; last: {gone}. Raise memory_mb "
                        f"(now {self._memory_mb}) if memory ran out; check that math_verify imports"
                    ) from gone
        raise AssertionError("unreachable")

    def _wait(self) -> None:
        """Sleep until a socket is ready or the next deadline has passed."""
        poll = select.poll()
        busy = [lane for lane in self._lanes if lane.grader and lane.grader.outstanding]
        for lane in busy:
            events = select.POLLIN | (select.POLLOUT if lane.grader.has_unsent else 0)
            poll.register(lane.grader.connection, events)
        if busy:
            if all(len(lane.grader.outstanding) > QUEUE_DEPTH // 2 for lane in busy):
                time.sleep(GATHER_S)
            poll.poll(max(0.0, min(lane.deadline for lane in busy) - time.monotonic()) * 1000 + 1)

    def _attend(self, lane: Lane) -> list[tuple[int, Verdict]]:
        """Collect a grader's verdicts; where it ended or is stuck, decide what becomes of the request it was at."""
        if lane.grader is None or not lane.grader.outstanding:
            return []
        results, alive = lane.grader.receive()
        if results:
            self._restart_clock(lane)
        stuck = bool(lane.grader.outstanding) and time.monotonic() > lane.deadline
        if alive and not stuck:
            return results
        grader = lane.grader
        ending = self._discard(lane)
        last, others = grader.unanswered()
        if last and (verdict := self._decide(last, ending)):
            results.append((last.number, verdict))
        elif last:
            others.appendleft(last)
        lane.waiting.extendleft(reversed(others))
        return results

    def _decide(self, request: GradingRequest, ending: int | None) -> Verdict | None:
        """Verdict for the request at which a grader ended; None where it is to be tried once more."""
        if ending == OUT_OF_TIME:
            limit = self.config.timeout_s
            return Verdict("timeout", None, f"no verdict within {limit:g} s of CPU time", limit)
        if request.number not in self._tried:
            self._tried.add(request.number)
            return None
        if ending in _FROM_OUTSIDE:
            raise RuntimeError(
                f"a grader was killed from outside twice over one answer (exit status {ending}, gold "
                f"{request.gold[:80]!r}); if the machine ran out of memory, lower the number of graders or memory_mb "
                f"(now {self._memory_mb})"
            )
        if ending == OUT_OF_MEMORY:
            return Verdict("timeout", None, f"no verdict within {self._memory_mb} MiB of memory")
        return Verdict("timeout", None, f"no verdict: the grader crashed twice with exit status {ending}")

    def _discard(self, lane: Lane) -> int | None:
        grader, lane.grader = lane.grader, None
        assert grader is not None
        ending = self._warm.ending(grader) if self._warm else None
        if ending is None and self._warm:
            self._lose_warm_process()
        return ending

    def _lose_warm_process(self) -> None:
        """End the warm process and all graders; what these had in hand waits for others."""
        assert self._warm is not None
        self._warm.close()
        self._warm = None
        for lane in self._lanes:
            if lane.grader:
                lane.grader.connection.close()
                lane.waiting.extendleft(reversed(lane.grader.outstanding))
                lane.grader = None
