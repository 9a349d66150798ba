"""Limits of a sandboxed program."""

import sys
from typing import Any

from pydantic import Field

from tasks.config import Frozen

JUDGE = 1
"""Version of the judge, raised whenever a change in this room can change a verdict."""


class SandboxConfig(Frozen):
    """Limits of one program. All are ours."""

    cpu_s: int = Field(5, ge=1)
    """CPU time, seconds; a busy machine then gives the same verdicts."""
    wall_s: int = Field(60, ge=1)
    """Time on the clock, seconds: for a program that sleeps."""
    memory_mb: int = Field(1024, ge=64)
    """Address space of each of its processes, MiB."""
    disk_mb: int = Field(16, ge=1)
    """The temporary folder, the only place it can write to, MiB."""
    max_processes: int = Field(1, ge=1)
    """Processes and threads at a time. 1 lets it start none, so that `memory_mb` and `cpu_s` bound it as a whole."""

    def identity_payload(self) -> dict[str, Any]:
        """Fields as hashed, with the language and the judge that decide what passes."""
        python = f"{sys.version_info.major}.{sys.version_info.minor}"
        return {**super().identity_payload(), "judge": JUDGE, "python": python}
