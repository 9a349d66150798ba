"""References: all that ever travels between tasks."""

import re
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import AfterValidator, field_validator

from tasks.config import Frozen

SHORT = 16
"""Hex digits of a fingerprint used in folder names and in text for people."""
KIND = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*")


def _inside(path: str) -> str:
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts or "\\" in path or "\0" in path:
        raise ValueError(f"{path!r} leads out of its artifact; only relative paths below it are read")
    return path


def _kind(name: str) -> str:
    if not KIND.fullmatch(name):
        raise ValueError(f"{name!r} is no folder of a store, so nothing is read there")
    return name


InnerPath = Annotated[str, AfterValidator(_inside)]
"""Path of a file below an artifact's folder; one that leads out of it is refused."""
Kind = Annotated[str, AfterValidator(_kind)]
"""Folder of the store: `questions`, `samples`, `filtered`, `dataset`, `model`, `evaluation`, `report`."""


class ArtifactRef(Frozen):
    """Names one artifact of the store: what made it (`fingerprint`) and what is in it (`digest`)."""

    kind: Kind
    fingerprint: str
    """SHA-256 of the producing stage's payload, 64 hex digits."""
    digest: str
    """SHA-256 over the content: sorted relative path, size and hash of every file."""

    @field_validator("fingerprint", "digest")
    @classmethod
    def _hex(cls, value: str) -> str:
        if len(value) != 64 or set(value) - set("0123456789abcdef"):
            raise ValueError(f"{value!r} is not a SHA-256 of 64 hex digits")
        return value

    @property
    def path(self) -> str:
        """Folder inside the store."""
        return f"{self.kind}/{self.fingerprint[:SHORT]}"

    def __str__(self) -> str:
        return self.path
