"""A lease with a heartbeat: one builder per artifact, and no lock that outlives a dead holder."""

import contextlib
import json
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, replace

import psutil
from pydantic import TypeAdapter

from tasks.spine.process import is_gone, own_host
from tasks.spine.store.files import Files
from tasks.spine.store.fingerprint import digest_text

log = logging.getLogger(__name__)

BEATS = 12
"""Heartbeats within the timeout. An outage of the store may last as long as the rest of it: the last beat before it and
the first one after it are up to a twelfth away."""


@dataclass(frozen=True)
class Holder:
    """Who holds a lease, as written to its file."""

    token: str
    host: str
    pid: int
    process_started: float
    beat: float
    """When it was written by the holder's clock, for people: the file's own time counts."""
    timeout_s: float

    @property
    def is_gone(self) -> bool:
        """True when the process is known, on this host, to have ended."""
        return is_gone(self.host, self.pid, self.process_started)


HOLDER = TypeAdapter(Holder)


@dataclass
class Lease:
    """One file of the store; whoever created it builds the artifact beside it."""

    files: Files
    path: str
    timeout_s: float

    def __post_init__(self) -> None:
        self._token = uuid.uuid4().hex

    def holder(self) -> Holder | None:
        """The current holder, or None."""
        return self._read(self.path)

    def living_holder(self) -> Holder | None:
        """The current holder, unless it is dead."""
        holder = self.holder()
        return None if holder is None or self._is_dead(holder, self.path) else holder

    def _is_dead(self, holder: Holder, path: str) -> bool:
        """Whether a holder is gone, or its heartbeat overdue by the store's clock: hosts may differ by hours."""
        if holder.is_gone:
            return True
        age_s = self.files.age_s(path)
        return age_s is not None and age_s >= holder.timeout_s

    def try_acquire(self) -> bool:
        """Take the lease if it is free or its holder is dead.

        A dead holder is succeeded through a claim file named by its token, created exclusively, so that of several
        successors exactly one wins; a successor that died with its claim is succeeded in the same way.
        """
        if self.files.create_exclusive(self.path, self._record()):
            return True
        holder, path = self.holder(), self.path
        first = holder
        while holder is not None and self._is_dead(holder, path):
            claim = self._claim(holder)
            if self.files.create_exclusive(claim, self._record()):
                return self._succeed(first, claim)
            holder, path = self._read(claim), claim
        return False

    def _succeed(self, dead: Holder | None, claim: str) -> bool:
        """Replace the record of the dead holder, unless another successor has already been and gone."""
        now = self.holder()
        if dead is None or now is None or now.token != dead.token:
            self.files.remove(claim)
            return False
        self.files.write_text(self.path, self._record())
        return True

    def _claim(self, dead: Holder) -> str:
        return f"{self.path}.after-{dead.token}"

    def _read(self, path: str, files: Files | None = None) -> Holder | None:
        """Who a lease or claim file names; a damaged one names a holder long dead, an absent one nobody."""
        text = (files or self.files).read_text_or_none(path, errors="replace")
        if text is None:
            return None
        try:
            return HOLDER.validate_json(text)
        except ValueError:
            log.warning("%s cannot be read, so whoever holds it counts as dead", self.files.full(path))
            return Holder(digest_text(text)[:32], "", 0, 0.0, 0.0, 0.0)

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
            try:
                self._give_back()
            except Exception as error:
                # What was built is published; the silence of its holder will end the lease.
                log.warning("%s was not given back and ends in %g s: %s", self.path, self.timeout_s, error)

    def _give_back(self) -> None:
        if not self._is_mine():
            return
        folder, _, name = self.path.rpartition("/")
        claims = [entry for entry in self.files.folders(folder) if entry.startswith(f"{name}.after-")]
        self.files.remove(self.path)
        for claim in claims:
            self.files.remove(f"{folder}/{claim}")

    def _beat(self, stop: threading.Event) -> None:
        """Renew the record until told to stop, or until another run took the lease over.

        Without patience: a beat that arrives late would overwrite a successor's, and the next one is due soon.
        """
        files = replace(self.files, patience_s=0.0)
        while not stop.wait(self.timeout_s / BEATS):
            try:
                if not self._is_mine(files):
                    log.warning("another run took over %s after a silence of over %g s", self.path, self.timeout_s)
                    return
                files.write_text(self.path, self._record())
            except Exception as error:
                log.warning("heartbeat of %s failed and will be tried again: %s", self.path, error)

    def _is_mine(self, files: Files | None = None) -> bool:
        holder = self._read(self.path, files)
        return holder is not None and holder.token == self._token

    def _record(self) -> str:
        started = psutil.Process().create_time()
        return json.dumps(Holder(self._token, own_host(), os.getpid(), started, time.time(), self.timeout_s).__dict__)
