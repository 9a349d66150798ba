"""Files of the store over fsspec: whole writes only, and no listing cache that could lie."""

import contextlib
import os
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem


@dataclass
class Files:
    """A root folder, local or remote; every path given to it is relative to that root."""

    uri: str
    fs: AbstractFileSystem = field(init=False)
    root: str = field(init=False)

    def __post_init__(self) -> None:
        options = {} if "://" not in self.uri else {"use_listings_cache": False, "skip_instance_cache": True}
        self.fs, self.root = fsspec.core.url_to_fs(self.uri, **options)
        self.root = self.root.rstrip("/")

    @property
    def is_local(self) -> bool:
        """True when files can be opened in place."""
        return isinstance(self.fs, LocalFileSystem)

    def full(self, path: str) -> str:
        """The file system's own name of `path`."""
        return f"{self.root}/{path}" if path else self.root

    def read_text_or_none(self, path: str) -> str | None:
        """Text of a file, or None where there is none."""
        try:
            return self.fs.cat_file(self.full(path)).decode()
        except FileNotFoundError:
            return None

    def write_text(self, path: str, text: str) -> None:
        """Write a file that readers see whole or not at all."""
        if not self.is_local:
            self.fs.pipe_file(self.full(path), text.encode())
            return
        target = Path(self.full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            temporary.write_text(text)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def create_exclusive(self, path: str, text: str) -> bool:
        """Create a file unless it is there already; True when this call created it."""
        if not self.is_local:
            try:
                self.fs.pipe_file(self.full(path), text.encode(), mode="create")
            except FileExistsError:
                return False
            return True
        target = Path(self.full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            temporary.write_text(text)
            os.link(temporary, target)
        except FileExistsError:
            return False
        finally:
            temporary.unlink(missing_ok=True)
        return True

    def put_file(self, local: Path, path: str) -> None:
        """Copy one local file in, whole or not at all."""
        if not self.is_local:
            self.fs.put_file(str(local), self.full(path))
            return
        target = Path(self.full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            shutil.copyfile(local, temporary)
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    def put_folder(self, local: Path, path: str) -> None:
        """Bring a local folder in; a local store takes it over by renaming, so weights are not written twice."""
        if not self.is_local:
            for file in sorted(entry for entry in local.rglob("*") if entry.is_file()):
                self.fs.put_file(str(file), self.full(f"{path}/{file.relative_to(local).as_posix()}"))
            return
        target = Path(self.full(path))
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.exists():
            shutil.rmtree(target)
        try:
            shutil.move(local, target)
        except OSError:
            shutil.rmtree(target, ignore_errors=True)
            raise

    def fetch_folder(self, path: str, names: list[str], target: Path) -> None:
        """Copy the named files of a remote folder to `target`, which appears only when all of them are there."""
        incoming = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        try:
            for name in names:
                (incoming / name).parent.mkdir(parents=True, exist_ok=True)
                self.fs.get_file(self.full(f"{path}/{name}"), str(incoming / name))
            with contextlib.suppress(OSError):
                incoming.replace(target)
        finally:
            shutil.rmtree(incoming, ignore_errors=True)

    def sizes(self, path: str) -> dict[str, int]:
        """Relative name and size in bytes of every file below `path`; empty where there is no such folder."""
        prefix = self.full(path)
        found = self.fs.find(prefix, detail=True)
        return {name[len(prefix) + 1 :]: entry["size"] for name, entry in found.items()}

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
        with contextlib.suppress(FileNotFoundError):
            self.fs.rm(self.full(path), recursive=True)
