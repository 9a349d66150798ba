"""Verdicts on code: an answer's functions are called by unit tests, each side in a sandbox of its own.

The interface is that of the pool that grades mathematics. The answer runs in one process and the tests in another, and
only plain data passes between them. So no answer passes by what it does instead of what its functions return: ending
early, printing that all passed, replacing `assert`, returning an object that equals everything, looking for the tests.
"""

import json
import signal
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Self, cast

from tasks.shared.sandbox.available import confinement
from tasks.shared.sandbox.config import SandboxConfig
from tasks.shared.sandbox.confinement import UNCONFINED
from tasks.shared.sandbox.extraction import code_of
from tasks.shared.sandbox.inside.enter import OUT_OF_TIME
from tasks.shared.sandbox.process import SandboxedProcess
from tasks.shared.sandbox.unit_tests import UnitTests
from tasks.shared.verification.verdict import Verdict, VerdictName

_ENDED_BY_LIMIT = (OUT_OF_TIME, *(128 + number for number in (signal.SIGXCPU, signal.SIGKILL)))


class CodePool:
    """Grades (completion, unit tests) pairs, `num_workers` at a time.

    Raises:
        SandboxUnavailable: this machine has no sandbox, and `allow_unsandboxed` is not given.
    """

    def __init__(
        self, num_workers: int = 1, *, config: SandboxConfig | None = None, allow_unsandboxed: bool = False
    ) -> None:
        self.config = config or SandboxConfig()
        self._way = UNCONFINED if allow_unsandboxed else confinement()
        self._threads = ThreadPoolExecutor(num_workers, thread_name_prefix="sandbox")
        self._ahead = 2 * num_workers

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(cancel_futures=True)

    def verify(self, pairs: Iterable[tuple[str, str]]) -> list[Verdict]:
        """Verdicts of (completion, unit tests) pairs, in their order, exactly one for each pair."""
        return list(self.stream(pairs))

    def stream(self, pairs: Iterable[tuple[str, str]]) -> Iterator[Verdict]:
        """Yield verdicts in order, lazily: `pairs` are read only as fast as they are graded."""
        running: deque[Future[Verdict]] = deque()
        for completion, gold in pairs:
            running.append(self._threads.submit(self._grade, completion, gold))
            if len(running) > self._ahead:
                yield running.popleft().result()
        while running:
            yield running.popleft().result()

    def _grade(self, completion: str, gold: str) -> Verdict:
        began = time.monotonic()
        try:
            tests = UnitTests.model_validate_json(gold)
        except ValueError as error:
            return Verdict("error", None, f"gold: these are no unit tests: {error}"[:500])
        code = code_of(completion)
        if code is None:
            return Verdict("unparsed", None, "extraction: no code found")
        name, detail = self._judged(code, tests)
        return Verdict(name, code, detail, time.monotonic() - began)

    def _judged(self, code: str, tests: UnitTests) -> tuple[VerdictName, str]:
        given = {"prelude": tests.prelude, "entry_points": tests.entry_points}
        ours, theirs = socket.socketpair()
        try:
            solution = SandboxedProcess(
                "solution", self._way, self.config, given=given | {"code": code}, connections=[theirs.fileno()]
            )
            theirs.close()
            with (
                solution,
                SandboxedProcess(
                    "judge",
                    self._way,
                    self.config,
                    given=given | {"tests": tests.unit_tests},
                    connections=[ours.fileno()],
                ) as judge,
            ):
                ours.close()
                status = judge.wait()
                return self._read(judge, status, solution)
        finally:
            ours.close()
            theirs.close()

    def _read(self, judge: SandboxedProcess, status: int, solution: SandboxedProcess) -> tuple[VerdictName, str]:
        report = judge.output()
        if status or not report:
            said = (judge.errors().strip().splitlines() or [""])[-1]
            return ("timeout" if status in _ENDED_BY_LIMIT else "error"), f"tests: ended with {status} {said}".rstrip()
        name, detail = json.loads(report)
        if name != "lost":
            return cast(VerdictName, name), detail
        ending = solution.wait()
        if ending in _ENDED_BY_LIMIT:
            return (
                "timeout",
                f"limit: the code used more than {self.config.cpu_s} s of CPU time or its time on the clock",
            )
        return "wrong", f"code: it ended with exit status {ending} before the tests did"
