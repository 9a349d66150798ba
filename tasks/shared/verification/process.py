"""The parent's end of one grader process: start, non-blocking pipes, kill. Policy is in `pool`."""

import json
import os
import subprocess
import sys
import tempfile
from collections import deque
from dataclasses import dataclass
from pathlib import Path

from tasks.shared.verification.child import READY
from tasks.shared.verification.config import VerificationConfig
from tasks.shared.verification.verdict import Verdict

_ROOT = Path(__file__).resolve().parents[3]
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True)
class GradingRequest:
    """One pair to grade, under the number that its verdict will carry."""

    number: int
    completion: str
    gold: str

    def line(self) -> bytes:
        """The request as a line of the protocol."""
        message = {"id": self.number, "completion": self.completion, "gold": self.gold}
        return json.dumps(message).encode() + b"\n"


class GraderProcess:
    """A child process with a queue of requests. All methods return at once; the caller waits on the pipes.

    Start it from a thread that outlives it: on Linux the child dies with the thread that started it.
    """

    def __init__(self, config: VerificationConfig, memory_mb: int) -> None:
        self._errors = tempfile.TemporaryFile()
        search_path = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
        arguments = [config.model_dump_json(), str(memory_mb), str(os.getpid())]
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tasks.shared.verification.child", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            bufsize=0,
            env={**os.environ, "PYTHONPATH": search_path, "OMP_NUM_THREADS": "1"},
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self.requests_fd = self._process.stdin.fileno()
        self.replies_fd = self._process.stdout.fileno()
        os.set_blocking(self.requests_fd, False)
        os.set_blocking(self.replies_fd, False)
        self.ready = False
        self.outstanding: deque[GradingRequest] = deque()
        self._unsent = bytearray()
        self._unread = bytearray()

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def has_unsent(self) -> bool:
        """Whether some of the requests wait to be written to the pipe."""
        return bool(self._unsent)

    def enqueue(self, request: GradingRequest) -> None:
        """Add a request; `send` moves it to the child."""
        self.outstanding.append(request)
        self._unsent += request.line()

    def send(self) -> None:
        """Write as much as the pipe takes. A broken pipe is noticed when reading."""
        try:
            written = os.write(self.requests_fd, memoryview(self._unsent)[:_READ_BYTES])
        except BlockingIOError:
            return
        except BrokenPipeError:
            written = len(self._unsent)
        del self._unsent[:written]

    def receive(self) -> tuple[list[tuple[int, Verdict]], bool]:
        """Verdicts that have arrived, in request order, and whether the child is still there."""
        alive = True
        while True:
            try:
                data = os.read(self.replies_fd, _READ_BYTES)
            except BlockingIOError:
                break
            if not data:
                alive = False
                break
            self._unread += data
        *lines, rest = self._unread.split(b"\n")
        self._unread = bytearray(rest)
        return [reply for line in lines if (reply := self._decode(line)) is not None], alive

    def _decode(self, line: bytes) -> tuple[int, Verdict] | None:
        message = json.loads(line)
        if message == READY:
            self.ready = True
            return None
        number, *verdict = message
        expected = self.outstanding.popleft().number
        if number != expected:
            raise RuntimeError(f"grader process {self.pid} answered request {number} where {expected} was due")
        return number, Verdict(*verdict)

    def kill(self) -> str:
        """End the child with SIGKILL, reap it, close the pipes; return how it ended and the tail of its
        errors.
        """
        self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        with self._errors as errors:
            size = errors.seek(0, os.SEEK_END)
            errors.seek(max(0, size - 2_000))
            tail = errors.read().decode(errors="replace").strip()
        return f"exit status {code}" + (f": {tail}" if tail else "")
