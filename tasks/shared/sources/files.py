"""Rows of files anywhere fsspec reaches, and the digest of what is in them."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from tasks.errors import did_you_mean
from tasks.shared.sources.errors import Record, Reject, SourceError
from tasks.shared.sources.readers import READERS, Reader, read_file
from tasks.spine.store.files import open_files

ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_BLOCK = 2**20


class SourceFiles:
    """One or several files behind a path, folder, glob or fsspec address."""

    def __init__(self, source: str, what: str, others: str, endings: Mapping[str, str] = ENDINGS) -> None:
        """`what` the files hold and what `others` a source may be are for messages; `endings` gives formats.

        Raises `SourceError` where there is no such file.
        """
        self.source = source
        self._what, self._others, self._endings = what, others, endings
        address = source if "://" in source else str(Path(source).expanduser())
        self._fs, root = open_files(address)
        if any(mark in root for mark in "*?["):
            paths = self._fs.glob(root)
        elif self._fs.isdir(root):
            paths = [path for path in self._fs.find(root) if ending(path, endings)]
        else:
            paths = [root] if self._fs.exists(root) else []
        self.paths = sorted(paths)
        if not self.paths:
            raise SourceError(self._not_found(root))

    def open(self, path: str) -> BinaryIO:
        """One of `paths`, for reading bytes."""
        return self._fs.open(path, "rb")

    def format(self, wanted: str) -> str:
        """The format asked for, or the one that all endings agree on."""
        if wanted != "auto":
            return wanted
        formats = {ending(path, self._endings) for path in self.paths}
        if len(formats) == 1 and (format := formats.pop()):
            return format
        raise SourceError(
            f"source: cannot tell the format of {self.source!r} from its name; set format to one of "
            f"{', '.join(dict.fromkeys(self._endings.values()))} (files end in {', '.join(self._endings)}, "
            "each also with .gz)"
        )

    def read(self, format: str, readers: Mapping[str, Reader] = READERS) -> Iterator[Record | Reject]:
        """The rows of all files, streamed, in order of their names."""
        for path in self.paths:
            with self.open(path) as stream:
                yield from read_file(stream, PurePosixPath(path).name, format, readers)

    def digest(self) -> str:
        """SHA-256 of the one file, or over the SHA-256 of each of several, in order of name."""
        digests = [self._digest(path) for path in self.paths]
        if len(digests) == 1:
            return f"sha256:{digests[0]}"
        return f"sha256:{hashlib.sha256(' '.join(digests).encode()).hexdigest()}"

    def _digest(self, path: str) -> str:
        total = hashlib.sha256()
        with self.open(path) as stream:
            while block := stream.read(_BLOCK):
                total.update(block)
        return total.hexdigest()

    def _not_found(self, root: str) -> str:
        parent = root.rpartition("/")[0]
        try:
            names = [PurePosixPath(path).name for path in self._fs.ls(parent, detail=False)]
        except (OSError, ValueError):
            names = []
        near = did_you_mean(PurePosixPath(root).name, names)
        return (
            f"source: no file with {self._what} at {self.source!r}{near} Give {self._others}, a dataset id 'org/name', "
            f"an existing path (relative paths start at {Path.cwd()}), or an address such as s3://bucket/file"
        )


def ending(path: str, endings: Mapping[str, str]) -> str | None:
    """The format that a file's name tells, gzipped or not."""
    return endings.get(PurePosixPath(path.removesuffix(".gz")).suffix.lower())
