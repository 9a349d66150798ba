"""The artifact store: folders that exist once their manifest does.

    <kind>/<fingerprint[:16]>/manifest.json         written last
    <kind>/<fingerprint[:16]>/<digest[:12]>/...     the files, in a folder named by their content
    <kind>/<fingerprint[:16]>/<digest[:12]>.json    manifest of that content; stays when a forced rebuild succeeds it
    <kind>/<fingerprint[:16]>/lease.json            while somebody builds it

Two builders of one fingerprint can never mix their files, because each content has a folder of its own and the
manifest names one of them.
"""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.spine.store.files import Files
from tasks.spine.store.fingerprint import Payload, changed_fields, digest_file, digest_text
from tasks.spine.store.lease import Lease
from tasks.spine.store.manifest import FileEntry, Manifest
from tasks.spine.store.ref import SHORT, ArtifactRef
from tasks.spine.store.settings import Settings

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"


class ArtifactMissing(LookupError):
    """No artifact under that name, or one whose files are gone or damaged."""


@dataclass
class Store:
    """Finds, publishes and reads artifacts of one store."""

    files: Files
    cache: Path

    @classmethod
    def open(cls, settings: Settings | None = None) -> "Store":
        """The store that the settings name, by default those of the environment."""
        settings = settings or Settings()
        return cls(Files(settings.store_uri), settings.cache)

    def find(self, kind: str, fingerprint: str) -> Manifest | None:
        """The artifact made from this fingerprint, or None; damaged ones (missing or cut files) count as None."""
        manifest = self._read(f"{kind}/{fingerprint[:SHORT]}", MANIFEST)
        return manifest if manifest and (manifest.fingerprint == fingerprint or len(fingerprint) == SHORT) else None

    def _read(self, folder: str, name: str) -> Manifest | None:
        """A manifest whose files are all there; None otherwise."""
        text = self.files.read_text_or_none(f"{folder}/{name}")
        if text is None:
            return None
        manifest = Manifest.model_validate_json(text)
        problem = self._damage(manifest, folder)
        if problem:
            log.warning("artifact %s is damaged and will be rebuilt: %s", folder, problem)
            return None
        return manifest

    def manifest(self, ref: ArtifactRef | str) -> Manifest:
        """Manifest of a reference, or of text such as `model/3f2a9c` (a unique beginning is enough).

        Raises:
            ArtifactMissing: nothing, several things, or something damaged is there.
        """
        if isinstance(ref, ArtifactRef):
            found = self._read(ref.path, f"{ref.digest[:12]}.json")
            if found is None or found.digest != ref.digest:
                raise ArtifactMissing(f"artifact {ref} is not in the store {self.files.uri}")
            return found
        kind, _, start = ref.strip("/").rpartition("/")
        names = [
            (folder, name)
            for folder in ([kind] if kind else self.files.folders(""))
            for name in self.files.folders(folder)
            if name.startswith(start[:SHORT])
        ]
        if len(names) != 1 or not start:
            what = "no artifact" if not names else f"{len(names)} artifacts"
            raise ArtifactMissing(f"{what} named {ref!r} in the store {self.files.uri}; write kind/fingerprint")
        found = self.find(*names[0])
        if found is None:
            raise ArtifactMissing(f"artifact {ref!r} has no manifest or damaged files; run its stage again")
        return found

    def ref(self, name: ArtifactRef | str) -> ArtifactRef:
        """A full reference from a reference or a name."""
        return name if isinstance(name, ArtifactRef) else self.manifest(name).ref

    def local(self, ref: ArtifactRef) -> Path:
        """Local folder with the artifact's files; fetched once when the store is remote."""
        manifest = self.manifest(ref)
        if manifest.external is not None:
            return Path(manifest.external)
        folder = f"{ref.path}/{manifest.data}"
        if self.files.is_local:
            return Path(self.files.full(folder))
        target = self.cache / folder
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            digests = {entry.path: entry.sha256 for entry in manifest.files}

            def check(name: str, local: Path) -> None:
                if digest_file(local) != digests[name]:
                    raise ArtifactMissing(
                        f"{name} of artifact {ref} in {self.files.uri} is not what its manifest names (SHA-256 "
                        "differs); run its stage again with force"
                    )

            self.files.fetch_folder(folder, list(digests), target, check)
        return target

    def lease(self, kind: str, fingerprint: str, timeout_s: float) -> Lease:
        """The lease of an artifact that is to be built."""
        return Lease(self.files, f"{kind}/{fingerprint[:SHORT]}/lease.json", timeout_s)

    def publish(self, folder: Path, **fields: Any) -> Manifest:
        """Bring a finished local folder in and write its manifest last; the folder is consumed.

        `fields` are those of `Manifest` but for digest and data, which are computed here, as are `files` where an
        artifact that only points at its files does not name those that it is known by.
        """
        entries = tuple(fields.pop("files", ()) or hash_files(folder))
        digest = content_digest(entries)
        manifest = Manifest(digest=digest, data=digest[:12], files=entries, **fields)
        path = manifest.ref.path
        if manifest.external is None:
            self.files.put_folder(folder, f"{path}/{manifest.data}")
            self.files.abort_uploads(path)
        for name in (f"{manifest.data}.json", MANIFEST):
            self.files.write_text(f"{path}/{name}", manifest.model_dump_json(indent=1))
        return manifest

    def all(self, kind: str | None = None) -> list[Manifest]:
        """Every whole manifest, of one kind or of all, oldest first."""
        found = []
        for folder in [kind] if kind else self.files.folders(""):
            for name in self.files.folders(folder):
                text = self.files.read_text_or_none(f"{folder}/{name}/{MANIFEST}")
                if text is not None:
                    found.append(Manifest.model_validate_json(text))
        return sorted(found, key=lambda manifest: manifest.created_at)

    def explain_miss(self, kind: str, payload: Payload) -> dict[str, tuple[Any, Any]] | None:
        """Fields in which `payload` differs from the nearest artifact of its stage; None when there is none."""
        peers = [manifest for manifest in self.all(kind) if manifest.stage == payload["stage"]]
        changes = [changed_fields(manifest.payload, payload) for manifest in peers]
        return min(changes, key=len, default=None)

    def _damage(self, manifest: Manifest, folder: str) -> str | None:
        if manifest.external is not None:
            sizes = Files(manifest.external).sizes("")
        else:
            sizes = self.files.sizes(f"{folder}/{manifest.data}")
        for entry in manifest.files:
            if sizes.get(entry.path) != entry.size:
                return f"{entry.path} has {sizes.get(entry.path, 'no')} bytes of {entry.size}"
        return None


def hash_files(folder: Path) -> list[FileEntry]:
    """Relative path, size and SHA-256 of every file below `folder`, sorted by path."""
    return [
        FileEntry(path=file.relative_to(folder).as_posix(), size=file.stat().st_size, sha256=digest_file(file))
        for file in sorted(entry for entry in folder.rglob("*") if entry.is_file())
    ]


def content_digest(entries: tuple[FileEntry, ...]) -> str:
    """SHA-256 over sorted relative path, size and hash: the identity of an artifact's content."""
    lines = sorted(f"{entry.path}\t{entry.size}\t{entry.sha256}" for entry in entries)
    return digest_text("\n".join(lines))
