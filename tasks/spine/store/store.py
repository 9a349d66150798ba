"""The artifact store: folders that exist once their manifest does.

    <kind>/<fingerprint[:16]>/manifest.json         written last
    <kind>/<fingerprint[:16]>/<digest[:12]>/...     the files, in a folder named by their content
    <kind>/<fingerprint[:16]>/<digest[:12]>.json    manifest of that content; stays when a forced rebuild succeeds it
    <kind>/<fingerprint[:16]>/lease.json            while somebody builds it

Two builders of one fingerprint can never mix their files, because each content has a folder of its own and the
manifest names one of them.
"""

import functools
import logging
import re
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tasks.spine.store.files import Files
from tasks.spine.store.fingerprint import Payload, changed_fields, digest_file, sealed, unsealed
from tasks.spine.store.integrity import changed, content_digest, hash_files, sizes_differ
from tasks.spine.store.lease import Lease
from tasks.spine.store.manifest import Manifest
from tasks.spine.store.ref import KIND, SHORT, ArtifactRef
from tasks.spine.store.settings import Settings

log = logging.getLogger(__name__)

MANIFEST = "manifest.json"
FOUND = "found"
"""Folder of the cache with where this home has what artifacts point at: homes on one store differ in it."""
START = re.compile(r"[0-9a-f]*")


class ArtifactMissing(LookupError):
    """No artifact under that name, or one whose files are gone or damaged."""


class ArtifactDamaged(ArtifactMissing):
    """An artifact that is not what was published: files gone, cut, changed or added, or a manifest that changed."""


@dataclass
class Store:
    """Finds, publishes and reads artifacts of one store."""

    files: Files
    cache: Path

    @classmethod
    def open(cls, settings: Settings | None = None) -> "Store":
        """The store that the settings name, by default those of the environment."""
        settings = settings or Settings()
        files = Files(settings.store_uri)
        if files.is_local and Path(files.root).is_file():
            raise ValueError(f"MIDTRAIN_STORE={settings.store_uri} is a file, and a store is a folder; name another")
        return cls(files, settings.cache)

    def find(self, kind: str, fingerprint: str) -> Manifest | None:
        """The artifact made from this fingerprint, or None; a damaged one counts as None, and a warning names it.

        On a local disk a changed byte is damage too: a file that was written to since its digest was taken is read
        again. What a failing disk changes without a write is noticed by `local`.
        """
        try:
            manifest = self._read(f"{kind}/{fingerprint[:SHORT]}", MANIFEST)
        except ArtifactDamaged as error:
            _warn_once(f"{error}; it counts as missing, and its stage makes it again")
            return None
        except ArtifactMissing:
            return None
        return manifest if manifest.fingerprint == fingerprint or len(fingerprint) == SHORT else None

    def _read(self, folder: str, name: str) -> Manifest:
        """A manifest whose files are all there, as far as can be told without reading all of them once more."""
        manifest = self.read_manifest(f"{folder}/{name}")
        if manifest is None:
            raise ArtifactMissing(f"there is no {folder}/{name} in the store {self.files.uri}")
        if problem := self._damage(manifest):
            raise ArtifactDamaged(f"artifact {folder} is damaged: {problem}")
        return manifest

    def read_manifest(self, path: str) -> Manifest | None:
        """The manifest in a file of the store; None where there is no such file.

        Raises:
            ArtifactDamaged: the file is no manifest, or not as it was written.
        """
        try:
            text = self.files.read_text_or_none(path)
            manifest = None if text is None else Manifest.model_validate(unsealed(text))
        except (ValueError, IsADirectoryError) as error:
            reason = str(error).splitlines()[0]
            raise ArtifactDamaged(f"{self.files.full(path)} cannot be read as a manifest: {reason}") from None
        if manifest is None:
            return None
        if content_digest(manifest.files) != manifest.digest:
            raise ArtifactDamaged(f"{self.files.full(path)} is damaged: its digest is not that of the files it lists")
        if not path.startswith(f"{manifest.ref.path}/"):
            raise ArtifactDamaged(f"{self.files.full(path)} is the manifest of another artifact, {manifest.ref}")
        return manifest

    def manifest(self, ref: ArtifactRef | str) -> Manifest:
        """Manifest of a reference, or of text such as `model/3f2a9c` (a unique beginning is enough).

        Raises:
            ArtifactMissing: nothing, several things, or something damaged is there, or the name leads elsewhere.
        """
        if isinstance(ref, ArtifactRef):
            found = self._read(ref.path, f"{ref.digest[:12]}.json")
            if found.digest != ref.digest:
                raise ArtifactMissing(f"artifact {ref} is not in the store {self.files.uri}")
            return found
        kind, _, start = ref.strip("/").rpartition("/")
        names = [
            (folder, name)
            for folder in self._kinds(kind)
            for name in self.files.folders(folder)
            if name.startswith(start[:SHORT]) and START.fullmatch(start)
        ]
        if len(names) != 1 or not start:
            what = "no artifact" if not names else f"{len(names)} artifacts"
            raise ArtifactMissing(f"{what} named {ref!r} in {self.files.uri}; write kind/fingerprint (`midtrain ls`)")
        try:
            return self._read("/".join(names[0]), MANIFEST)
        except ArtifactMissing as error:
            raise ArtifactMissing(f"{ref!r}: {error}; run its stage again") from error

    def _kinds(self, kind: str) -> list[str]:
        """Folders of the store that a name speaks of: none where it leads out of the store."""
        if kind:
            return [kind] if KIND.fullmatch(kind) else []
        return [name for name in self.files.folders("") if KIND.fullmatch(name)]

    def ref(self, name: ArtifactRef | str) -> ArtifactRef:
        """A full reference from a reference or a name."""
        return name if isinstance(name, ArtifactRef) else self.manifest(name).ref

    def place(self, manifest: Manifest) -> str:
        """Where an artifact's files lie: a folder, or an address of a remote store."""
        if manifest.external is None:
            return self.files.full(f"{manifest.ref.path}/{manifest.data}")
        note = self.cache / FOUND / manifest.digest
        try:
            place = Path(note.read_text(encoding="utf-8") if note.is_file() else "")
        except ValueError as error:
            _warn_once(f"{note} cannot be read and is passed over: {error}")
            place = Path()
        return str(place if place.is_absolute() else self.cache / manifest.external)

    def local(self, ref: ArtifactRef) -> Path:
        """Local folder with the artifact's files, each of which this process has read and found as published.

        They are fetched where the store is remote, once, and again where the local copy is damaged.

        Raises:
            ArtifactMissing: it is not in the store.
            ArtifactDamaged: its files are not those that were published.
        """
        manifest = self.manifest(ref)
        if manifest.external is not None or self.files.is_local:
            folder = Path(self.place(manifest))
            if problem := changed(manifest, folder, self.cache, again=True):
                raise ArtifactDamaged(
                    f"artifact {ref} is damaged: {problem}. Run again: the stage that made it makes it anew"
                )
            return folder
        target = self.cache / ref.path / manifest.data
        if target.is_dir():
            problem = changed(manifest, target, self.cache, again=True)
            if problem is None:
                return target
            log.warning("the local copy of artifact %s is fetched again: %s", ref, problem)
            shutil.rmtree(target)
        self._fetch(manifest, target)
        return target

    def _fetch(self, manifest: Manifest, target: Path) -> None:
        target.parent.mkdir(parents=True, exist_ok=True)
        digests = {entry.path: entry.sha256 for entry in manifest.files}

        def check(name: str, local: Path) -> None:
            if digest_file(local) != digests[name]:
                raise ArtifactDamaged(
                    f"{name} of artifact {manifest.ref} in {self.files.uri} is not what its manifest names (SHA-256 "
                    "differs); run its stage again with force"
                )

        self.files.fetch_folder(f"{manifest.ref.path}/{manifest.data}", list(digests), target, check)

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
        external = fields.pop("external", None)
        if external is not None and Path(external).is_relative_to(self.cache):
            external = Path(external).relative_to(self.cache).as_posix()
        manifest = Manifest(digest=digest, data=digest[:12], files=entries, external=external, **fields)
        path = manifest.ref.path
        if manifest.external is None:
            self.files.put_folder(folder, f"{path}/{manifest.data}")
            self.files.abort_uploads(path)
        elif Path(manifest.external).is_absolute():
            Files(str(self.cache)).write_text(f"{FOUND}/{digest}", manifest.external)
        text = sealed(manifest.model_dump(mode="json"))
        for name in (f"{manifest.data}.json", MANIFEST):
            self.files.write_text(f"{path}/{name}", text)
        return manifest

    def all(self, kind: str | None = None) -> list[Manifest]:
        """Every manifest that can be read, of one kind or of all, oldest first."""
        found = []
        for folder in self._kinds(kind or ""):
            for name in self.files.folders(folder):
                try:
                    manifest = self.read_manifest(f"{folder}/{name}/{MANIFEST}")
                except ArtifactDamaged as error:
                    _warn_once(f"{error}; its artifact is left out")
                    continue
                found += [manifest] if manifest is not None else []
        return sorted(found, key=lambda manifest: manifest.created_at)

    def explain_miss(self, kind: str, payload: Payload) -> dict[str, tuple[Any, Any]] | None:
        """Fields in which `payload` differs from the nearest artifact of its stage; None when there is none."""
        peers = [manifest for manifest in self.all(kind) if manifest.stage == payload["stage"]]
        changes = [changed_fields(manifest.payload, payload) for manifest in peers]
        return min(changes, key=len, default=None)

    def _damage(self, manifest: Manifest) -> str | None:
        """What is wrong with an artifact's files, as far as sizes and remembered digests tell."""
        if manifest.external is not None or self.files.is_local:
            return changed(manifest, Path(self.place(manifest)), self.cache)
        sizes = self.files.sizes(f"{manifest.ref.path}/{manifest.data}")
        return sizes_differ(manifest, sizes)


@functools.cache
def _warn_once(text: str) -> None:
    """One warning in a process, however often a damaged artifact is asked for."""
    log.warning("%s", text)
