"""A lease with a heartbeat: one builder per artifact, and no lock that outlives a dead holder."""

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from tasks.artifacts.files import Files


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as written to its file."""

    token: str
    host: str
    pid: int
    process_started: float
    beat: float
    timeout_s: float

    @property
    def is_dead(self) -> bool:
        """True when the heartbeat is overdue, or the process is known, on this host, to be gone."""
        if time.time() - self.beat > self.timeout_s:
            return True
        if self.host != socket.gethostname():
            return False
        try:
            return abs(psutil.Process(self.pid).create_time() - self.process_started) > 1
        except psutil.NoSuchProcess:
            return True


@dataclass
class Lease:
    """One file of the store; whoever created it builds the artifact beside it."""

    files: Files
    path: str
    timeout_s: float

    def __post_init__(self) -> None:
        self._token = uuid.uuid4().hex

    def holder(self) -> Holder | None:
        """The current holder, or None. A file that is not whole counts as held by nobody."""
        text = self.files.read_text_or_none(self.path)
        if text is None:
            return None
        with contextlib.suppress(ValueError, TypeError):
            return Holder(**json.loads(text))
        return None

    def try_acquire(self) -> bool:
        """Take the lease if it is free or its holder is dead; double-checked after taking."""
        if self.files.create_exclusive(self.path, self._record()):
            return True
        holder = self.holder()
        if holder is not None and not holder.is_dead:
            return False
        self.files.write_text(self.path, self._record())
        time.sleep(0.05)
        return self._is_mine()

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Beat while the block runs and give the lease back after it. Call only after `try_acquire`."""
        stop = threading.Event()
        thread = threading.Thread(target=self._beat, args=(stop,), daemon=True, name="lease-heartbeat")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            if self._is_mine():
                self.files.remove(self.path)

    def _beat(self, stop: threading.Event) -> None:
        while not stop.wait(self.timeout_s / 4):
            with contextlib.suppress(OSError):
                self.files.write_text(self.path, self._record())

    def _is_mine(self) -> bool:
        holder = self.holder()
        return holder is not None and holder.token == self._token

    def _record(self) -> str:
        started = psutil.Process().create_time()
        return json.dumps(
            Holder(self._token, socket.gethostname(), os.getpid(), started, time.time(), self.timeout_s).__dict__
        )
