"""What of a store nothing needs any more: pure planning over a snapshot. `sweep` takes the snapshot and deletes.

Roots are reports, whatever the caller names (registered models, what a person keeps), artifacts made lately, and those
that somebody is building. A root and all that it was made from stay. Of the rest only what lay untouched for as long
as young artifacts are kept is garbage, and only files that the store itself wrote: what else shares its folder or
bucket is not looked at.
"""

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from tasks.spine.store.manifest import POOLS, Manifest
from tasks.spine.store.ref import ArtifactRef

What = Literal["artifact", "left over", "samples", "lease", "work folder", "local copy"]

FOLDER = re.compile(r"[0-9a-f]{16}")
CONTENT = re.compile(r"[0-9a-f]{12}")
LEASE = re.compile(r"lease\.json(\.after-[0-9a-f]{32})?")
BATCH = re.compile(r"[0-9a-f]{32}\.parquet")
LEFT = re.compile(r"\.(manifest\.json|[0-9a-f]{12}(\.json)?|lease\.json.*|[0-9a-f]{32}\.parquet)\.[0-9a-f]{32}")
"""Temporary names of writers that were killed."""
SET_ASIDE = ".corrupt"


@dataclass(frozen=True)
class Extent:
    """Bytes, and when the last of them was written (seconds since 1970)."""

    size: int = 0
    changed: float = 0.0

    def __add__(self, other: "Extent") -> "Extent":
        return Extent(self.size + other.size, max(self.changed, other.changed))


@dataclass(frozen=True)
class Snapshot:
    """A store and this machine's folders at one moment."""

    files: Mapping[str, Extent]
    """Every file of the store, by its path there."""
    contents: Mapping[ArtifactRef, Manifest]
    """Every content that has a manifest, those that a forced rebuild succeeded included."""
    held: frozenset[str] = frozenset()
    """Folders of the store that a living builder holds."""
    work: Mapping[str, Extent] = field(default_factory=dict)
    """Stages in progress or left, by the names of their local folders."""
    copies: Mapping[str, Extent] = field(default_factory=dict)
    """Local copies of a remote store's contents, by kind/fingerprint/digest."""
    stopped: Mapping[str, Extent] = field(default_factory=dict)
    """Local copies that were never finished and that nobody writes any more, by their temporary names."""


@dataclass(frozen=True)
class Item:
    """Something that can go, with all below `path`."""

    what: What
    path: str
    extent: Extent
    why: str
    ref: ArtifactRef | None = None


@dataclass(frozen=True)
class GCPlan:
    """What can go, in the order in which it must, and what stays and for whose sake."""

    items: tuple[Item, ...]
    kept: Mapping[ArtifactRef, str]
    held: frozenset[str]

    @property
    def size(self) -> int:
        """Bytes that can go."""
        return sum(item.extent.size for item in self.items)


def plan(snapshot: Snapshot, roots: Mapping[ArtifactRef, str], since: float) -> GCPlan:
    """What nothing needs of a snapshot.

    Args:
        snapshot: the store and this machine's folders.
        roots: what to keep, and why, beside what is young or being built.
        since: what was made or changed after this moment stays; seconds since 1970.
    """
    young = {ref: "made lately" for ref, manifest in snapshot.contents.items() if _made(manifest) >= since}
    building = {ref: "being built" for ref in snapshot.contents if ref.path in snapshot.held}
    kept = reachable(snapshot.contents, {**young, **building, **roots})
    items = [
        *_artifacts(snapshot, kept),
        *_samples(snapshot, kept),
        *_left_over(snapshot),
        *_leases(snapshot),
        *_local(snapshot, kept),
    ]
    # Artifacts are ruled by the age of their manifests, which a copied or restored store keeps.
    old = (item for item in items if item.what == "artifact" or item.extent.changed < since)
    return GCPlan(tuple(old), kept, snapshot.held)


def reachable(contents: Mapping[ArtifactRef, Manifest], roots: Mapping[ArtifactRef, str]) -> dict[ArtifactRef, str]:
    """Roots and all that they were made from, each with a reason; what the store no longer has is left out."""
    kept: dict[ArtifactRef, str] = {}
    waiting = [(ref, why) for ref, why in roots.items() if ref in contents]
    while waiting:
        ref, why = waiting.pop(0)
        if ref in kept:
            continue
        kept[ref] = why
        waiting += [(parent, f"{ref} needs it") for parent in contents[ref].parents.values() if parent in contents]
    return kept


def _artifacts(snapshot: Snapshot, kept: Mapping[ArtifactRef, str]) -> Iterator[Item]:
    """Contents that nothing needs, children first: an interruption must not leave one whose parents are gone."""
    going = {ref: manifest for ref, manifest in snapshot.contents.items() if ref not in kept}
    extents: dict[tuple[str, str], Extent] = defaultdict(Extent)
    for path, extent in snapshot.files.items():
        folder, _, rest = _split(path)
        extents[folder, rest.split("/")[0].removesuffix(".json")] += extent
    order: list[ArtifactRef] = []
    seen: set[ArtifactRef] = set()

    def visit(ref: ArtifactRef) -> None:
        if ref not in going or ref in seen:
            return
        seen.add(ref)
        for parent in going[ref].parents.values():
            visit(parent)
        order.append(ref)

    for ref in going:
        visit(ref)
    for ref in reversed(order):
        manifest = going[ref]
        why = f"made by {manifest.stage}; nothing that stays came from it"
        yield Item("artifact", ref.path, extents[ref.path, manifest.data], why, ref)


def _samples(snapshot: Snapshot, kept: Mapping[ArtifactRef, str]) -> Iterator[Item]:
    """Pool folders that no kept artifact was made from; none as long as one of them does not say what it was made from.

    Whole folders, not single batches: a later stage may ask for any sample of the same model and sampling.
    """
    named: set[str] = set()
    for ref in kept:
        pools = snapshot.contents[ref].pools
        if pools is None:
            return
        named.update(pools)
    extents: dict[str, Extent] = defaultdict(Extent)
    for path, extent in snapshot.files.items():
        folder, name = _split(path)[::2]
        if folder.startswith(f"{POOLS}/") and BATCH.fullmatch(name):
            extents[folder] += extent
    for folder, extent in extents.items():
        if folder not in named:
            yield Item("samples", folder, extent, "nothing that stays was made from them")


def _left_over(snapshot: Snapshot) -> Iterator[Item]:
    """Files without a manifest, of writers that were killed, and batches that could not be read."""
    known = {(ref.path, manifest.data) for ref, manifest in snapshot.contents.items()}
    left: dict[str, Extent] = defaultdict(Extent)
    for path, extent in snapshot.files.items():
        folder, _, rest = _split(path)
        name, below, _ = rest.partition("/")
        if not name or folder in snapshot.held:
            continue
        damaged = name.endswith(SET_ASIDE) and BATCH.fullmatch(name.removesuffix(SET_ASIDE))
        partial = below and CONTENT.fullmatch(name) and (folder, name) not in known
        if damaged or partial or LEFT.fullmatch(name):
            left[f"{folder}/{name}"] += extent
    for path, extent in left.items():
        yield Item("left over", path, extent, "no manifest names it: its writer was stopped, or it is damaged")


def _leases(snapshot: Snapshot) -> Iterator[Item]:
    for path, extent in snapshot.files.items():
        folder, _, name = _split(path)
        if LEASE.fullmatch(name) and folder not in snapshot.held:
            yield Item("lease", path, extent, "its holder is dead")


def _local(snapshot: Snapshot, kept: Mapping[ArtifactRef, str]) -> Iterator[Item]:
    """Work folders that nobody builds in, and copies of contents that the store will not have."""
    held = {folder.rpartition("/")[2] for folder in snapshot.held}
    for name, extent in snapshot.work.items():
        if name[-16:] not in held:
            yield Item("work folder", name, extent, "a stage that was stopped; a rerun would resume it")
    names = {f"{ref.path}/{snapshot.contents[ref].data}" for ref in kept}
    for path, extent in snapshot.copies.items():
        if path not in names and path.rpartition("/")[0] not in snapshot.held:
            yield Item("local copy", path, extent, "of an artifact that goes or has gone")
    for path, extent in snapshot.stopped.items():
        yield Item("local copy", path, extent, "never finished: its process was stopped")


def _split(path: str) -> tuple[str, str, str]:
    """(kind/fingerprint, "/", the rest) of a file's path; three empty strings where it is none of the store's."""
    kind, _, below = path.partition("/")
    name, slash, rest = below.partition("/")
    return (f"{kind}/{name}", slash, rest) if FOLDER.fullmatch(name) and rest else ("", "", "")


def _made(manifest: Manifest) -> float:
    return datetime.fromisoformat(manifest.created_at).timestamp()
