"""References: all that ever travels between tasks."""

from pydantic import field_validator

from tasks.config import Frozen

SHORT = 16
"""Hex digits of a fingerprint used in folder names and in text for people."""


class ArtifactRef(Frozen):
    """Names one artifact of the store: what made it (`fingerprint`) and what is in it (`digest`)."""

    kind: str
    """Folder of the store: `questions`, `samples`, `filtered`, `dataset`, `model`, `evaluation`, `report`."""
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
