"""Looks at a store for `garbage`, and deletes what its plan lists, so that whatever interrupts it nothing half is
readable: children before parents, manifests before files, each artifact under its own lease.
"""

import contextlib
import logging
import re
import shutil
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tasks.spine.store.files import Files
from tasks.spine.store.gc_plan import LEASE, Extent, GCPlan, Item, Snapshot
from tasks.spine.store.lease import Lease
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings
from tasks.spine.store.store import MANIFEST, ArtifactDamaged, Store

log = logging.getLogger(__name__)

RECORD = re.compile(r"[^/]+/[0-9a-f]{16}/(manifest|[0-9a-f]{12})\.json")
COPY = re.compile(r"[^/]+/[0-9a-f]{16}/[0-9a-f]{12}")
INCOMING = re.compile(r"\.[0-9a-f]{12,16}\.[0-9a-f]{32}")
"""Name of a folder while its files are being fetched."""
INCOMING_SILENT_S = 3600.0
"""A fetch that goes on writes all the time: one that wrote nothing for as long belongs to no process any more."""
LEASE_TIMEOUT_S = Runtime().lease_timeout_s
BUSY = "a stage is being built, and what it reads is known only when it is done; run again then"


def look(store: Store, settings: Settings) -> Snapshot:
    """The store and this machine's folders as they are now.

    Raises:
        ValueError: a manifest that cannot be read; what it needs is unknown, so nothing may be called garbage.
    """
    # Leases first: a stage that ends meanwhile is then counted as going on, never the other way round.
    files = list_files(store.files)
    held = frozenset(
        path.rpartition("/")[0] for path in files if LEASE.fullmatch(path.rpartition("/")[2]) and _alive(store, path)
    )
    files = list_files(store.files)
    contents: dict[ArtifactRef, Manifest] = {}
    for path in files:
        if RECORD.fullmatch(path) and (manifest := _manifest(store, path)) is not None:
            contents[manifest.ref] = manifest
    work = {path.name: _extent(path) for path in _folders(settings.work)}
    copies = {} if store.files.is_local else _copies(store.cache)
    return Snapshot(files, contents, held, work, copies, _stopped(store.cache))


def list_files(files: Files) -> dict[str, Extent]:
    """Size and time of every file of a root, local or remote."""
    found: dict[str, dict[str, Any]] = files.fs.find(files.full(""), detail=True)
    prefix = len(files.full("")) + 1
    return {name[prefix:]: Extent(entry["size"], _changed(entry)) for name, entry in found.items()}


def delete(store: Store, settings: Settings, plan: GCPlan) -> Iterator[tuple[Item, str]]:
    """Delete what a plan lists; yields each item with "" or with the reason for which it stays."""
    for item in plan.items:
        if item.what == "work folder":
            shutil.rmtree(settings.work / item.path, ignore_errors=True)
        elif item.what == "local copy":
            shutil.rmtree(store.cache / item.path, ignore_errors=True)
        elif item.what in ("artifact", "samples") and plan.held:
            yield item, BUSY
            continue
        elif not _delete_held(store, item):
            yield item, "somebody builds it now"
            continue
        yield item, ""


def _delete_held(store: Store, item: Item) -> bool:
    """Delete something of the store while no builder can be at work in its folder; False where one is."""
    kind, name = item.path.split("/")[:2]
    lease = store.lease(kind, name, LEASE_TIMEOUT_S)
    if not lease.try_acquire():
        return False
    with lease.held():
        if item.ref is not None:
            _delete_content(store, item.ref)
        elif item.what == "samples":
            for batch in store.files.folders(item.path):
                if not LEASE.fullmatch(batch):
                    store.files.remove(f"{item.path}/{batch}")
        elif item.what == "left over":
            store.files.remove(item.path)
        # What is left of an expired lease goes when this one, which succeeded it, is given back.
    if store.files.is_local:
        with contextlib.suppress(OSError):
            Path(store.files.full(f"{kind}/{name}")).rmdir()
    return True


def _delete_content(store: Store, ref: ArtifactRef) -> None:
    """Manifests first: from then on the artifact is absent, and what is left of it is found by the next look."""
    current = _manifest(store, f"{ref.path}/{MANIFEST}")
    data = ref.digest[:12]
    if current is not None and current.digest == ref.digest:
        store.files.remove(f"{ref.path}/{MANIFEST}")
    store.files.remove(f"{ref.path}/{data}.json")
    store.files.remove(f"{ref.path}/{data}")


def _manifest(store: Store, path: str) -> Manifest | None:
    try:
        return store.read_manifest(path)
    except ArtifactDamaged as error:
        raise ValueError(
            f"{error}. What its artifact needs is unknown; remove {path.rpartition('/')[0]}: its stage runs again"
        ) from None


def _alive(store: Store, path: str) -> bool:
    return Lease(store.files, path, LEASE_TIMEOUT_S).living_holder() is not None


def _changed(entry: dict[str, Any]) -> float:
    """When a file was written, by what a local disk or S3 says of it; the latest of times where neither does."""
    if "mtime" in entry:
        return float(entry["mtime"])
    when = entry.get("LastModified")
    return when.timestamp() if isinstance(when, datetime) else float("inf")


def _copies(cache: Path) -> dict[str, Extent]:
    folders = [path for path in cache.glob("*/*/*") if path.is_dir()]
    names = {path.relative_to(cache).as_posix(): path for path in folders}
    return {name: _extent(path) for name, path in names.items() if COPY.fullmatch(name)}


def _stopped(cache: Path) -> dict[str, Extent]:
    """Fetches that a killed process left behind, of artifacts (kind/fingerprint) and of base models."""
    folders = [path for depth in ("*", "*/*") for path in cache.glob(f"{depth}/.*") if INCOMING.fullmatch(path.name)]
    found = {path.relative_to(cache).as_posix(): _extent(path) for path in folders}
    return {name: extent for name, extent in found.items() if extent.changed < time.time() - INCOMING_SILENT_S}


def _folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir()) if root.is_dir() else []


def _extent(folder: Path) -> Extent:
    """Size of a folder and its newest change; files that vanish meanwhile do not count."""
    total = Extent(0, folder.stat().st_mtime)
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):
            if path.is_file():
                total += Extent(path.stat().st_size, path.stat().st_mtime)
    return total
