"""SHA-256 of files that are too large to be hashed at every look, remembered for as long as nobody wrote to them."""

import json
import logging
import shutil
import time
from pathlib import Path
from typing import Any

from tasks.shared.models.files import Incomplete
from tasks.spine.store.files import Files
from tasks.spine.store.fingerprint import digest_file

GRAIN_S = 2.0
"""Coarsest clock of a file system (FAT): two writes within it can leave the same times."""

log = logging.getLogger(__name__)


class FileHashes:
    """Hashes by path, each with the state of the file that it is of: inode, size, mtime and ctime.

    ctime moves with every write and cannot be set back, so a file that was overwritten in place and given its old time
    is hashed again, as is one that came by a rename. A file that changed less than `GRAIN_S` ago is not remembered:
    it could change once more and look the same.
    """

    def __init__(self, memory: Path) -> None:
        """`memory` is the file that keeps them; one that cannot be read is begun anew."""
        self._memory = memory
        self._known: dict[str, list[Any]] = {}
        self._grew = False
        try:
            known = json.loads(memory.read_bytes())
            self._known = {path: entry for path, entry in known.items() if isinstance(entry, list)}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, AttributeError) as error:
            log.warning("%s cannot be read (%s); files are hashed again", memory, error)

    def sha256(self, file: Path) -> str:
        """Hash of a file's bytes.

        Raises:
            Incomplete: somebody wrote to it meanwhile.
        """
        path, began = str(file.resolve()), time.time()
        state = _state(file)
        remembered = self._known.get(path, [])
        if remembered[:-1] == state:
            return remembered[-1]
        digest = digest_file(file)
        if _state(file) != state:
            raise Incomplete(f"{file} changed while it was read; run again when nobody writes to it")
        changed_at = max(state[-2:]) / 1e9
        if changed_at < began - GRAIN_S:
            self._known[path] = [*state, digest]
            self._grew = True
        return digest

    def save(self) -> None:
        """Write what was learnt; a disk without room is left alone."""
        if not self._grew:
            return
        folder = self._memory.parent
        folder.mkdir(parents=True, exist_ok=True)
        if shutil.disk_usage(folder).free > 1 << 20:
            Files(str(folder)).write_text(self._memory.name, json.dumps(self._known))


def _state(file: Path) -> list[int]:
    stat = file.stat()
    return [stat.st_ino, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns]
