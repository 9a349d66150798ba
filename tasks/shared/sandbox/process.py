"""A program in the sandbox: started, waited for, ended."""

import itertools
import json
import os
import subprocess
import tempfile
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from tasks.shared.sandbox.config import SandboxConfig
from tasks.shared.sandbox.confinement import DISK_BYTES, Confinement, interpreter

_START = "import sys; sys.path.insert(0, {!r}); from tasks.shared.sandbox.inside.enter import main; main()"
_GRACE_S = 5
"""Time for a program to be ended from inside, once its time on the clock is over, before it is ended from here."""
_FIRST_USER_ID = 1_000_000_000
_MOST_OUTPUT = 1 << 16
_users = itertools.count()


class SandboxedProcess:
    """One of the programs in `inside/`, with its input as JSON; its output is read when it has ended."""

    def __init__(
        self,
        program: str,
        way: Confinement,
        config: SandboxConfig,
        *,
        given: Any = None,
        connections: Sequence[int] = (),
    ) -> None:
        """`connections` are file descriptors that the program inherits, as its arguments."""
        self._config = config
        self._folder = tempfile.TemporaryDirectory(prefix="sandbox-")
        self._input, self._output, self._errors = (tempfile.TemporaryFile() for _ in range(3))
        self._input.write(json.dumps(given).encode())
        self._input.seek(0)
        settings = config.model_dump() | {
            "program": program,
            "arguments": list(connections),
            "root": self._folder.name if way.takes_files_away else "",
            "read_only": way.binds,
            "own_users": way.own_users,
            # A user that no other process has, so that nobody's processes count but its own.
            "user_id": _FIRST_USER_ID + (os.getpid() << 8) + next(_users) % 256 if way.own_user_id else 0,
            "folder": "/tmp" if way.command else self._folder.name,
        }
        disk_bytes = str(config.disk_mb << 20)
        command = [disk_bytes if part == DISK_BYTES else part for part in way.command]
        self._process = subprocess.Popen(
            [*command, interpreter(), "-I", "-S", "-c", _START.format(way.project), json.dumps(settings)],
            stdin=self._input,
            stdout=self._output,
            stderr=self._errors,
            pass_fds=connections,
            # What the environment holds, keys of services for example, is not for the program.
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        for file in (self._input, self._output, self._errors):
            file.close()
        self._folder.cleanup()

    def wait(self) -> int:
        """Its exit status; it is ended where it has outlived its time."""
        try:
            return self._process.wait(self._config.wall_s + _GRACE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def output(self) -> str:
        """What it has written, its first 64 KiB."""
        return _text(self._output)

    def errors(self) -> str:
        """What it has said of errors."""
        return _text(self._errors)


def _text(file: Any) -> str:
    file.seek(0)
    return str(file.read(_MOST_OUTPUT).decode(errors="replace"))
