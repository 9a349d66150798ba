"""Which files a source names: one as it stands, those of a folder, or those that match a pattern."""

import glob
import os
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

import fsspec
from fsspec import AbstractFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.utils import glob_translate

from tasks.shared.sources.errors import SourceError
from tasks.spine.stage.context import run_context
from tasks.spine.store.files import open_files
from tasks.spine.store.settings import STARTED_BY_WORKER

ENDINGS = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}
"""Formats by the endings of names, gzipped or not."""
_SHARD = re.compile(r"(.+?)[-._]\d+-of-\d+\b.*")
_SPLIT = re.compile(
    r"(?<![a-z])(train|training|test|testing|valid|validation|val|dev|eval|evaluation|held[-_]?out|holdout)(?![a-z])",
    re.IGNORECASE,
)
_WEB = ("http://", "https://")


def is_web(address: str) -> bool:
    """Whether an address is a web page's: one file, with neither folders nor patterns."""
    return address.startswith(_WEB)


def check_protocols(source: str) -> None:
    """Refuse a run that a worker started, as from a server's form, an address of a protocol that is not allowed it.

    Whoever fills in a form would otherwise have the worker's machine ask any other one that it reaches. Paths and
    datasets of the hub are always allowed. Raises `SourceError` with the setting.
    """
    if STARTED_BY_WORKER not in os.environ or ("://" not in source and "::" not in source):
        return
    allowed = run_context().settings.allowed_protocols
    for link in source.split("::"):
        protocol = link.partition("://")[0]
        if ("://" in link or link in fsspec.available_protocols()) and protocol not in {"file", "local", *allowed}:
            raise SourceError(
                f"source: {protocol}:// is not allowed for runs that a worker starts, as from a server's form; give a "
                f"path, a dataset id or an address of {', '.join(allowed) or 'none'}, or set "
                f"MIDTRAIN_FORM_SOURCES={','.join([*allowed, protocol])} for the worker"
            )


def file_system(source: str) -> tuple[AbstractFileSystem, str]:
    """The file system behind a path or an address, and the path in it."""
    if "://" not in source:
        return LocalFileSystem(), os.path.abspath(os.path.expanduser(source))
    return open_files(source)


@dataclass(frozen=True)
class Named:
    """The files that a path or pattern names."""

    paths: list[str]
    """Sorted."""
    base: str
    """Folder that they lie in, or below."""
    is_folder: bool = False
    folders: tuple[str, ...] = ()
    """Folders that a pattern matches too, without those inside others."""
    pattern: re.Pattern[str] | None = None
    """What the path of a file that is not there yet would match to be one of them; None where that cannot be."""


def files_named(fs: AbstractFileSystem, root: str) -> Named:
    """The files at `root`, where what exists is taken as it stands; only else signs in its name make a pattern.

    Hidden files and folders (`.cache`, `._train.jsonl`) are passed over unless the pattern itself begins a name with a
    dot.
    """
    for path in dict.fromkeys([root, *(unicodedata.normalize(form, root) for form in ("NFC", "NFD"))]):
        if fs.isdir(path):
            return Named(files_below(fs, path), path, True, pattern=re.compile(rf"{re.escape(path)}/(.+)"))
        if fs.exists(path):
            return Named([path], path.rpartition("/")[0])
    if not glob.has_magic(root):
        return Named([], root.rpartition("/")[0])
    parts = root.split("/")
    fixed = next(
        end for end, part in enumerate(parts) if glob.has_magic(part) and not fs.exists("/".join(parts[: end + 1]))
    )
    base, pattern = "/".join(parts[:fixed]), "/".join(parts[fixed:])
    escaped = f"{glob.escape(base)}/{pattern}"
    found = sorted(fs.glob(escaped))
    if not pattern.startswith(".") and "/." not in pattern:
        found = _visible(found, base)
    folders = {path for path in found if fs.isdir(path)}
    outer = tuple(path for path in folders if path.rpartition("/")[0] not in folders)
    files = [path for path in found if path not in folders]
    return Named(files, base, folders=outer, pattern=re.compile(glob_translate(escaped)))


def files_below(fs: AbstractFileSystem, folder: str) -> list[str]:
    """Paths of all files in a folder and the folders in it, links followed, hidden ones left out; sorted."""
    if not isinstance(fs, LocalFileSystem):
        return sorted(_visible(fs.find(folder), folder))
    paths, seen = [], set()
    for place, folders, files in os.walk(folder, followlinks=True):
        seen.add(os.path.realpath(place))
        # A link may lead back to where the walk has been.
        folders[:] = [
            name
            for name in folders
            if not name.startswith(".") and os.path.realpath(os.path.join(place, name)) not in seen
        ]
        paths += [os.path.join(place, name) for name in files]
    return sorted(_visible(paths, folder))


def split_of(name: str) -> str:
    """The split that a file's name (`test-00000-of-00001.parquet`, `dev.jsonl`, `train/part-1.csv`) tells, or ''."""
    *folders, file = name.split("/")
    shard = _SHARD.fullmatch(file)
    if shard and _SPLIT.search(shard.group(1)):
        return shard.group(1)
    for part in (file, *reversed(folders)):
        if found := _SPLIT.search(part):
            return found.group(1).lower()
    return shard.group(1) if shard else ""


def ending(path: str, endings: dict[str, str]) -> str | None:
    """The format that a file's name tells, gzipped or not."""
    if is_web(path):
        path = unquote(urlsplit(path).path)
    stem, last = os.path.splitext(path.lower())
    return endings.get(os.path.splitext(stem)[1] if last == ".gz" else last)


def _visible(paths: Iterable[str], base: str) -> list[str]:
    start = len(base) + 1 if base else 0
    return [path for path in paths if not any(part.startswith(".") for part in path[start:].split("/"))]
