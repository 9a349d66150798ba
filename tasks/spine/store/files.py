"""Files of the store over fsspec: whole writes only, and no listing cache that could lie."""

import contextlib
import logging
import os
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem

from tasks.errors import Permanent
from tasks.spine.store.settings import Settings

log = logging.getLogger(__name__)


def open_files(address: str, patience_s: float | None = None) -> tuple[AbstractFileSystem, str]:
    """The file system behind a path or address, and the path in it; nothing that it lists is remembered.

    `patience_s` is how long a request to S3 is tried; None is the installation's setting.
    """
    if address.startswith(("s3://", "s3a://")):
        from tasks.spine.store.s3 import S3, connection

        patience_s = Settings().s3_patience_s if patience_s is None else patience_s
        return connection(patience_s), S3._strip_protocol(address)
    if "://" not in address:
        # fsspec would read `::` in a folder's name as a chain of file systems.
        return LocalFileSystem(), LocalFileSystem._strip_protocol(address)
    fs, root = fsspec.core.url_to_fs(address, use_listings_cache=False, skip_instance_cache=True)
    return fs, root


def sync(path: Path) -> None:
    """Have a file or a folder on the disk before anything that is written later."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError:
        # Some network file systems sync no folders; what a file's sync says counts.
        if not path.is_dir():
            raise
    finally:
        os.close(descriptor)


@dataclass
class Files:
    """A root folder, local or remote; every path given to it is relative to that root."""

    uri: str
    patience_s: float | None = None
    fs: AbstractFileSystem = field(init=False)
    root: str = field(init=False)

    def __post_init__(self) -> None:
        self.fs, root = open_files(self.uri, self.patience_s)
        self.root = root.rstrip("/")

    @property
    def is_local(self) -> bool:
        """True when files can be opened in place."""
        return isinstance(self.fs, LocalFileSystem)

    def full(self, path: str) -> str:
        """The file system's own name of `path`."""
        return f"{self.root}/{path}" if path else self.root

    def read_text_or_none(self, path: str, errors: str = "strict") -> str | None:
        """Text of a file, or None where there is none; `errors` is what `bytes.decode` does with what is no UTF-8."""
        try:
            return self.fs.cat_file(self.full(path)).decode(errors=errors)
        except FileNotFoundError:
            return None

    def write_text(self, path: str, text: str) -> None:
        """Write a file that readers see whole or not at all."""
        if not self.is_local:
            self.fs.pipe_file(self.full(path), text.encode())
            return
        with self._temporary(path) as (temporary, target):
            temporary.write_text(text)
            _replace(temporary, target)

    def create_exclusive(self, path: str, text: str) -> bool:
        """Create a file unless it is there already; True when this call created it. No two callers use one text."""
        if not self.is_local:
            try:
                self.fs.pipe_file(self.full(path), text.encode(), mode="create")
            except FileExistsError:
                # Ours after all, where the answer to a first attempt was lost and a second one was made.
                return self.read_text_or_none(path) == text
            return True
        with self._temporary(path) as (temporary, target):
            temporary.write_text(text)
            try:
                os.link(temporary, target)
            except FileExistsError:
                return False
        return True

    def put_file(self, local: Path, path: str) -> None:
        """Copy one local file in, whole or not at all."""
        if not self.is_local:
            self.fs.put_file(str(local), self.full(path))
            return
        with self._temporary(path) as (temporary, target):
            shutil.copyfile(local, temporary)
            _replace(temporary, target)

    @contextlib.contextmanager
    def _temporary(self, path: str) -> Iterator[tuple[Path, Path]]:
        """A name beside a local file that is to be written, and the file's own; the first is gone afterwards."""
        target = Path(self.full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            yield temporary, target
        finally:
            temporary.unlink(missing_ok=True)

    def put_folder(self, local: Path, path: str) -> None:
        """Bring a local folder in; a local store takes it over by renaming, so weights are not written twice."""
        if not self.is_local:
            for file in sorted(entry for entry in local.rglob("*") if entry.is_file()):
                self.put_file(file, f"{path}/{file.relative_to(local).as_posix()}")
            return
        target = Path(self.full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        # On another disk this copies, and may end in the middle: what is there already stays until all is.
        incoming = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            shutil.move(local, incoming)
            if target.exists():
                shutil.rmtree(target)
            incoming.replace(target)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)
        for entry in (*target.rglob("*"), target, target.parent):
            sync(entry)

    def fetch_folder(
        self, path: str, names: list[str], target: Path, check: Callable[[str, Path], None] | None = None
    ) -> None:
        """Copy the named files of a remote folder to `target`, which appears only when all of them are there.

        `check(name, local)` raises where a file is not what it should be.
        """
        incoming = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            for name in names:
                local = incoming / name
                local.parent.mkdir(parents=True, exist_ok=True)
                self.fs.get_file(self.full(f"{path}/{name}" if path else name), str(local))
                if check is not None:
                    check(name, local)
            try:
                incoming.replace(target)
            except OSError:
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def abort_uploads(self, path: str) -> None:
        """Abort what killed writers left unfinished below `path`; call where nobody else may be writing."""
        if not hasattr(self.fs, "abort_uploads"):
            return
        try:
            if number := self.fs.abort_uploads(self.full(path)):
                log.info("aborted %d unfinished uploads below %s", number, path)
        except (Permanent, OSError) as error:
            log.debug("unfinished uploads below %s were not looked for: %s", path, error)

    def sizes(self, path: str) -> dict[str, int]:
        """Relative name and size in bytes of every file below `path`; empty where there is no such folder."""
        prefix = self.full(path)
        found = self.fs.find(prefix, detail=True)
        return {name[len(prefix) + 1 :]: entry["size"] for name, entry in found.items()}

    def age_s(self, path: str) -> float | None:
        """Seconds since a file was written, both moments by the store's own clock; None where there is none.

        Hosts that share a store need not agree on the time: the server of a network file system or of S3 stamps what
        they write.
        """
        try:
            if self.is_local:
                with open(self.full(path), "rb") as file:
                    return self._now(path) - os.fstat(file.fileno()).st_mtime
            if hasattr(self.fs, "age_s"):
                return float(self.fs.age_s(self.full(path)))
            return time.time() - float(self.fs.modified(self.full(path)).timestamp())
        except FileNotFoundError:
            return None

    def _now(self, path: str) -> float:
        """The time that a local file gets which is written beside `path` now; this host's where none can be."""
        try:
            with self._temporary(path) as (probe, _):
                probe.write_bytes(b"now")
                return probe.stat().st_mtime
        except OSError:
            return time.time()

    def folders(self, path: str) -> list[str]:
        """Names directly below `path`."""
        try:
            entries = self.fs.ls(self.full(path), detail=False, refresh=True)
        except FileNotFoundError:
            return []
        except TypeError:
            entries = self.fs.ls(self.full(path), detail=False)
        return sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in entries)

    def remove(self, path: str) -> None:
        """Delete a file or folder; nothing happens where there is none."""
        if self.is_local:
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm(self.full(path), recursive=True)
            return
        # One by one: s3fs does not look at the errors that a bulk deletion reports.
        for name in self.fs.find(self.full(path)):
            with contextlib.suppress(FileNotFoundError):
                self.fs.rm_file(name)


def _replace(temporary: Path, target: Path) -> None:
    """Give a finished file its name; both are on the disk before this returns."""
    sync(temporary)
    temporary.replace(target)
    sync(target.parent)
