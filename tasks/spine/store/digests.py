"""SHA-256 of files, remembered for as long as a file cannot have changed: the one memory of digests.

Digests take about half a second per GB, and weights are large. What is remembered is kept by device, inode, size, time
of modification and time of change: no program can set the last one, so a write always shows, whatever it does to the
others. A disk that rots changes none of them, hence `again`.
"""

import functools
import logging
import os
import threading
import time
from collections.abc import Iterable
from pathlib import Path

from tasks.spine.store.files import Files
from tasks.spine.store.fingerprint import digest_stream, sealed, unsealed

log = logging.getLogger(__name__)

MEMORY = "hashes.json"
GRAIN_S = 2.0
"""Coarsest grain of the times of any file system in use (FAT). A younger file may change with its times unchanged."""
MOST = 50_000
"""Files that are remembered, those met last: about 8 MB of JSON."""


class DigestMemory:
    """Digests of the files of one installation, shared by its processes through `hashes.json` in a folder."""

    def __init__(self, folder: Path) -> None:
        self._files = Files(str(folder))
        self._lock = threading.Lock()
        self._known: dict[str, str] | None = None
        self._read_here: set[str] = set()

    def digests(self, files: Iterable[Path], *, again: bool = False) -> list[str]:
        """SHA-256 of each file, 64 hex digits.

        Args:
            again: what another process has read is not enough; each file is read once in this one.

        Raises:
            FileNotFoundError: one of them is gone.
        """
        with self._lock:
            known = self._load() if self._known is None else self._known
            self._known = known
        found: list[str] = []
        fresh: dict[str, str] = {}
        for file in files:
            identity = file_identity(os.stat(file))
            if identity not in known or (again and identity not in self._read_here):
                digest, identity = _read(file)
                if identity:
                    fresh[identity] = digest
            else:
                digest = known[identity]
            found.append(digest)
        if fresh:
            self._remember(fresh)
        return found

    def _remember(self, fresh: dict[str, str]) -> None:
        with self._lock:
            self._read_here.update(fresh)
            before = self._known or {}
            if all(before.get(identity) == digest for identity, digest in fresh.items()):
                return
            # What other processes have written meanwhile stays; the files met last come last.
            merged = {**self._load(), **before, **fresh}
            self._known = dict(list(merged.items())[-MOST:])
            try:
                self._files.write_text(MEMORY, sealed(self._known))
            except OSError as error:
                log.debug("%s was not written, so files will be read again: %s", self._files.full(MEMORY), error)

    def _load(self) -> dict[str, str]:
        try:
            text = self._files.read_text_or_none(MEMORY)
            return {} if text is None else {str(key): str(value) for key, value in unsealed(text).items()}
        except (ValueError, OSError) as error:
            log.warning("%s cannot be read and begins anew: %s", self._files.full(MEMORY), error)
            return {}


@functools.cache
def digest_memory(folder: Path) -> DigestMemory:
    """The memory that lies in `folder`, one in a process."""
    return DigestMemory(folder)


def _read(file: Path) -> tuple[str, str]:
    """Digest of a file, and the identity to remember it by; an empty one where that would not be safe."""
    with file.open("rb") as stream:
        before, began = os.fstat(stream.fileno()), time.time()
        try:
            digest = digest_stream(stream)
        except OSError as error:
            # The system names no file where reading fails, as from a failing disk.
            raise OSError(error.errno, error.strerror, str(file)) from error
        after = os.fstat(stream.fileno())
    settled = began - max(before.st_mtime, before.st_ctime) > GRAIN_S
    return digest, file_identity(after) if settled and file_identity(before) == file_identity(after) else ""


def file_identity(stat: os.stat_result) -> str:
    """What tells one content of a file from another without reading it."""
    return f"{stat.st_dev}:{stat.st_ino}:{stat.st_size}:{stat.st_mtime_ns}:{stat.st_ctime_ns}"
