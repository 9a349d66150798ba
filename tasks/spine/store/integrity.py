"""What a manifest lists of files, and whether files are those."""

from collections.abc import Mapping
from pathlib import Path

from tasks.spine.store.digests import digest_memory
from tasks.spine.store.fingerprint import digest_file, digest_text
from tasks.spine.store.manifest import FileEntry, Manifest


def changed(manifest: Manifest, folder: Path, memory: Path, *, again: bool = False) -> str | None:
    """What tells the files below a local folder from those of a manifest; None where nothing does.

    Args:
        memory: folder with the memory of digests.
        again: every file is read once in this process, and one that nobody published is a difference too.
    """
    try:
        if not folder.is_dir():
            return f"{folder} is not there; it was moved or deleted"
    except OSError as error:
        # Another user's model, or a name that this file system does not take.
        return f"{folder} cannot be reached from here ({error.strerror})"
    paths = {entry.path: folder / entry.path for entry in manifest.files}
    try:
        if problem := sizes_differ(manifest, {name: path.stat().st_size for name, path in paths.items()}):
            return problem
        digests = digest_memory(memory).digests(paths.values(), again=again)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        return f"{error.filename} is no file any more"
    for entry, digest in zip(manifest.files, digests, strict=True):
        if digest != entry.sha256:
            return f"{paths[entry.path]} has other bytes than were published (its SHA-256 differs)"
    return _stray(folder, set(paths)) if again and manifest.external is None else None


def sizes_differ(manifest: Manifest, sizes: Mapping[str, int]) -> str | None:
    """The first file of a manifest that is missing or has another size; None where all are as listed."""
    for entry in manifest.files:
        if sizes.get(entry.path) != entry.size:
            return f"{entry.path} has {sizes.get(entry.path, 'no')} bytes of {entry.size}"
    return None


def _stray(folder: Path, names: set[str]) -> str | None:
    """A file that readers of the folder would take for part of it; hidden ones are the system's own."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.name.startswith(".") and path.relative_to(folder).as_posix() not in names:
            return f"{path} was not published with it; remove that file"
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
