"""`midtrain verify-store`: reads everything in the store, and names what is damaged."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from flows.cli.gc import size
from tasks.shared.sampling.pool import Pool
from tasks.spine.store.fingerprint import digest_stream
from tasks.spine.store.gc import RECORD, list_files
from tasks.spine.store.gc_plan import BATCH
from tasks.spine.store.integrity import changed, sizes_differ
from tasks.spine.store.manifest import POOLS, Manifest
from tasks.spine.store.store import ArtifactDamaged, ArtifactMissing, Store

REMEDY = (
    "Run the pipelines again: what is damaged counts as missing and is made anew. In a remote store, and where only an "
    "older content of an artifact is damaged, ask for it with --force STAGE."
)


@dataclass
class Read:
    """How much was read."""

    artifacts: int = 0
    batches: int = 0
    size: int = 0

    def __str__(self) -> str:
        return f"{self.artifacts} artifacts and {self.batches} batches of samples, {size(self.size)}"


def verify_store(store: Store, console: Console) -> int:
    """Read all artifacts and samples. Returns an exit code: a failure where something is damaged.

    Raises:
        ArtifactMissing: the store is empty, as a folder is that nobody has mounted.
    """
    began, read = time.monotonic(), Read()
    table = Table("where", "what is wrong", title="Damaged")
    for where, problem in damages(store, read):
        table.add_row(*map(Text, (where, problem)))
    done = f"{read} read in {time.monotonic() - began:.1f} s"
    if not table.rows and not read.artifacts + read.batches:
        raise ArtifactMissing(f"nothing in the store {store.files.uri}: nothing was verified; look at MIDTRAIN_STORE")
    if not table.rows:
        console.print(f"{done}: nothing is damaged.", highlight=False)
        return 0
    console.print(table)
    console.print(f"{done}: {len(table.rows)} damaged. {REMEDY}", highlight=False, soft_wrap=True)
    return 1


def damages(store: Store, read: Read) -> Iterator[tuple[str, str]]:
    """Every damaged manifest, artifact and batch, with what is wrong; what was read is added up in `read`."""
    pools: set[str] = set()
    contents: dict[str, Manifest] = {}
    for path, extent in sorted(list_files(store.files).items()):
        if RECORD.fullmatch(path):
            try:
                manifest = store.read_manifest(path)
            except ArtifactDamaged as error:
                yield path, str(error)
                continue
            # The current manifest names one of the contents that have a record of their own, as a rule.
            if manifest is not None:
                contents[f"{manifest.ref}/{manifest.data}"] = manifest
        folder, _, name = path.rpartition("/")
        if folder.startswith(f"{POOLS}/") and BATCH.fullmatch(name):
            pools.add(folder)
            read.batches += 1
            read.size += extent.size
    for where, manifest in contents.items():
        read.artifacts += 1
        read.size += sum(entry.size for entry in manifest.files)
        if problem := _damage(store, manifest):
            yield where, problem
    for folder in sorted(pools):
        for name, problem in Pool(f"{store.files.uri.rstrip('/')}/{folder}").damaged():
            yield f"{folder}/{name}", problem


def _damage(store: Store, manifest: Manifest) -> str | None:
    if manifest.external is not None or store.files.is_local:
        return changed(manifest, Path(store.place(manifest)), store.cache, again=True)
    folder = f"{manifest.ref.path}/{manifest.data}"
    if problem := sizes_differ(manifest, store.files.sizes(folder)):
        return problem
    for entry in manifest.files:
        with store.files.fs.open(store.files.full(f"{folder}/{entry.path}"), "rb") as file:
            if digest_stream(file) != entry.sha256:
                return f"{entry.path} has other bytes than were published (its SHA-256 differs)"
    return None
