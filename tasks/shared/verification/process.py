"""The owner's end of the warm process and of its graders: start, non-blocking sockets, kill. Policy is in `pool`."""

import json
import mmap
import os
import socket
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.protocol import AT_HAND, ENDED, FORK, KILL, NEWS, ORDER, STARTED
from tasks.shared.verification.verdict import Verdict

START_TIMEOUT_S = 120.0
_ROOT = Path(__file__).resolve().parents[3]
_READ_BYTES = 1 << 16
_LINE_CHARS = 1 << 15
"""Characters of completions in one line, unless it is a single one: what fills a grader's memory then stands alone."""


class WarmProcessGone(RuntimeError):
    """The warm process did not start, or has ended; the message says how and holds the tail of its errors."""


@dataclass(frozen=True, slots=True)
class GradingRequest:
    """One pair to grade, under the number that its verdict will carry."""

    number: int
    completion: str
    gold: str


def child_environment() -> dict[str, str]:
    """Variables of a process that runs a module of this room, on one thread, from wherever its owner was started."""
    search_path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return {**os.environ, "PYTHONPATH": search_path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


class WarmProcess:
    """The process that has loaded the algebra system and forks graders (`child`).

    May be made and used from any thread, by one at a time.
    """

    def __init__(self, config: VerificationConfig, memory_mb: int) -> None:
        self._errors = tempfile.TemporaryFile()
        arguments = [config.model_dump_json(), str(memory_mb), str(os.getpid())]
        self._control, theirs = socket.socketpair()
        self._control.settimeout(START_TIMEOUT_S)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tasks.shared.verification.child", *arguments],
                stdin=theirs,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                env=child_environment(),
            )
        self._last_number = 0
        self._endings: dict[int, int] = {}

    @property
    def pid(self) -> int:
        """Process id of the warm process, the parent of its graders."""
        return self._process.pid

    def fork(self) -> "GraderProcess":
        """Start a grader: waits until everything is loaded the first time, then some milliseconds.

        Raises WarmProcessGone.
        """
        self._last_number += 1
        ours, theirs = socket.socketpair()
        try:
            with theirs, tempfile.TemporaryFile() as page:
                page.truncate(AT_HAND.size)
                at_hand = mmap.mmap(page.fileno(), AT_HAND.size)
                order = ORDER.pack(FORK, self._last_number)
                socket.send_fds(self._control, [order], [theirs.fileno(), page.fileno()])
            while (news := self._news())[:2] != (STARTED, self._last_number):
                self._endings[news[1]] = news[2]
        except OSError as error:
            ours.close()
            raise WarmProcessGone(f"{self.close()} ({type(error).__name__})") from error
        return GraderProcess(ours, at_hand, self._last_number, news[2])

    def ending(self, grader: "GraderProcess") -> int | None:
        """Kill a grader that is still there, and return its exit status; None where the warm process is gone too."""
        grader.connection.close()
        try:
            self._control.sendall(ORDER.pack(KILL, grader.number))
            while grader.number not in self._endings:
                kind, number, value = self._news()
                if kind == ENDED:
                    self._endings[number] = value
        except OSError:
            return None
        return self._endings.pop(grader.number)

    def _news(self) -> tuple[bytes, int, int]:
        data = b""
        while len(data) < NEWS.size:
            part = self._control.recv(NEWS.size - len(data))
            if not part:
                raise ConnectionResetError("the warm process has ended")
            data += part
        return NEWS.unpack(data)

    def close(self) -> str:
        """End the warm process and with it every grader; return how it ended and the tail of its errors. Idempotent."""
        self._control.close()
        try:
            # It ends of itself, after its graders, when this end of the socket is closed.
            code = self._process.wait(timeout=5.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._errors.closed:
            return f"exit status {code}"
        with self._errors as errors:
            size = errors.seek(0, os.SEEK_END)
            errors.seek(max(0, size - 2_000))
            tail = errors.read().decode(errors="replace").strip()
        return f"exit status {code}" + (f": {tail}" if tail else "")


class GraderProcess:
    """A grader with a queue of requests. All methods return at once; the caller waits on the connection."""

    def __init__(self, connection: socket.socket, at_hand: mmap.mmap, number: int, pid: int) -> None:
        self.connection = connection
        self._at_hand = at_hand
        self.number = number
        self.pid = pid
        connection.setblocking(False)
        self.outstanding: deque[GradingRequest] = deque()
        self._unsent = bytearray()
        self._unread = bytearray()

    @property
    def has_unsent(self) -> bool:
        """Whether some of the requests wait to be written to the socket."""
        return bool(self._unsent)

    def enqueue(self, requests: Iterable[GradingRequest]) -> None:
        """Add requests; `send` moves them to the grader. Many share a line; one that is long has its own."""
        size, line = 0, []
        for request in requests:
            self.outstanding.append(request)
            length = len(request.completion)
            if line and size + length > _LINE_CHARS:
                self._add(line)
                size, line = 0, []
            size += length
            line.append((request.number, request.completion, request.gold))
        self._add(line)

    def _add(self, line: list[tuple[int, str, str]]) -> None:
        self._unsent += json.dumps(line).encode() + b"\n"

    def send(self) -> None:
        """Write as much as the socket takes. A broken connection is noticed when reading."""
        try:
            written = self.connection.send(memoryview(self._unsent)[:_READ_BYTES])
        except BlockingIOError:
            return
        except (BrokenPipeError, ConnectionResetError):
            written = len(self._unsent)
        del self._unsent[:written]

    def receive(self) -> tuple[list[tuple[int, Verdict]], bool]:
        """Verdicts that have arrived, in request order, and whether the grader is still there."""
        alive = True
        try:
            data = self.connection.recv(_READ_BYTES)
            alive = bool(data)
            self._unread += data
        except BlockingIOError:
            pass
        except ConnectionResetError:
            alive = False
        lines, _, rest = self._unread.rpartition(b"\n")
        self._unread = rest
        # Read in one go: most of the time that one line takes goes into the call.
        several = json.loads(b"[" + lines.replace(b"\n", b",") + b"]")
        return [self._in_turn(*reply) for replies in several for reply in replies], alive

    def unanswered(self) -> tuple[GradingRequest | None, deque[GradingRequest]]:
        """What a grader leaves that has ended: the request that it was at, if any, and the others without a verdict."""
        others = deque(self.outstanding)
        if not others:
            return None, others
        (number,) = AT_HAND.unpack_from(self._at_hand, 0)
        # A line that could not even be read leaves the number of the one before it.
        last = next((request for request in others if request.number == number), others[0])
        others.remove(last)
        return last, others

    def _in_turn(self, number: int, *verdict: Any) -> tuple[int, Verdict]:
        expected = self.outstanding.popleft().number
        if number != expected:
            raise RuntimeError(f"grader process {self.pid} answered request {number} where {expected} was due")
        return number, Verdict(*verdict)


@dataclass(slots=True)
class Lane:
    """A grader, if one runs, and the requests that are for it and no other."""

    waiting: deque[GradingRequest] = field(default_factory=deque)
    grader: GraderProcess | None = None
    deadline: float = 0.0

    @property
    def held(self) -> int:
        """Number of requests that have no verdict yet."""
        return len(self.waiting) + (len(self.grader.outstanding) if self.grader else 0)
