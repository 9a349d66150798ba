"""Rows of files anywhere fsspec reaches, and the digest of what is in them."""

import errno
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from fsspec.implementations.local import LocalFileSystem

from tasks.errors import did_you_mean
from tasks.shared.sources.errors import Record, Reject, SourceError
from tasks.shared.sources.places import (
    ENDINGS,
    Named,
    check_protocols,
    ending,
    file_system,
    files_below,
    files_named,
    is_web,
    split_of,
)
from tasks.shared.sources.readers import READERS, Reader, read_file
from tasks.shared.sources.streams import Hashed, buffered
from tasks.spine.stage.context import run_context
from tasks.spine.store.digests import digest_memory
from tasks.spine.store.fingerprint import digest_stream, digest_text

_REMOTE_BLOCK_BYTES = 8 * 2**20


class SourceFiles:
    """One or several files behind a path, folder, glob or fsspec address."""

    def __init__(
        self,
        source: str,
        what: str,
        others: str,
        endings: Mapping[str, str] = ENDINGS,
        *,
        format: str = "auto",
        split: str = "",
    ) -> None:
        """Find the files; none is opened.

        Args:
            what, others: what the files hold, and what else a source may be, for messages.
            endings: formats by the endings of names.
            format: the files' format, or `auto` for the one that all endings agree on.
            split: which files of a folder or pattern to take, where their names tell splits.

        Raises:
            SourceError: no such file, no format or several, or splits of which none was chosen.
        """
        self.source, self._what, self._others, self._endings = source, what, others, dict(endings)
        self._is_web = is_web(source)
        if not source.strip():
            raise SourceError(f"source: it is empty; give {others}, a dataset id 'org/name', or a path")
        with self._in_words():
            check_protocols(source)
            try:
                self._fs, root = file_system(source)
                self._named = self._page(root) if self._is_web else files_named(self._fs, root)
            except ValueError as error:
                raise SourceError(f"source: {source!r} is no address that can be read ({error})") from error
        self.paths = self._chosen(format, split)
        if not self.paths:
            raise SourceError(self._not_found(root))
        self._check_kinds()
        self.format = self._one_format() if format == "auto" else format

    @property
    def is_local(self) -> bool:
        """Whether the files lie on this machine."""
        return isinstance(self._fs, LocalFileSystem)

    @property
    def is_split(self) -> bool:
        """Whether names of the files tell that they are a split of a folder or pattern."""
        return self._named.pattern is not None and bool(self._splits(self.paths))

    @contextmanager
    def open(self, path: str) -> Iterator[io.BufferedReader]:
        """One of `paths`, for reading bytes."""
        with self._opened(path) as file:
            yield buffered(file, seekable=not self._is_web)

    def read(self, digest: str, readers: Mapping[str, Reader] = READERS) -> Iterator[Record | Reject]:
        """The rows of all files, streamed, in order of their names.

        Raises `SourceError` in the end where the content is not that of `digest` any more.
        """
        read: list[str] = []
        for path in self.paths:
            with self._opened(path) as file:
                hashed = Hashed(file)
                # What comes over a network is read from end to end, once: who has to seek does it in a copy.
                stream = buffered(file if self.is_local else hashed, seekable=self.is_local)
                yield from read_file(stream, self._name(path), self.format, readers)
                if not self.is_local:
                    read.append(hashed.digest())
        if (self.digest() if self.is_local else _digest_of(read)) != digest:
            raise SourceError(f"source: {self.source!r} changed while it was read; run again when it is complete")

    def digest(self) -> str:
        """SHA-256 of the one file, or over the SHA-256 of each of several, in order of name."""
        if self.is_local:
            # Remembered while nobody writes to a file, so that looking for a change costs no second pass.
            with self._in_words():
                digests = digest_memory(run_context().settings.cache).digests(map(Path, self.paths))
        else:
            digests = [self._digest(path) for path in self.paths]
        return _digest_of(digests)

    def holds(self, path: Path) -> bool:
        """Whether a local path is one of the files, or would be one of them."""
        if not self.is_local:
            return False
        if path.exists() and any(path.samefile(file) for file in self.paths):
            return True
        pattern = self._named.pattern
        return pattern is not None and any(pattern.fullmatch(str(place)) for place in (path.absolute(), path.resolve()))

    def _check_kinds(self) -> None:
        """Refuse folders that a pattern would pass over, and what is no file, such as a pipe that nobody writes to."""
        named = set(self._named.paths)
        for folder in self._named.folders:
            if any(self._format_of(path) and path not in named for path in files_below(self._fs, folder)):
                raise SourceError(
                    f"source: {self.source!r} matches the folder {folder!r}, but not the files in it; end the pattern "
                    "with '/**' to read them, or with an ending such as '*.jsonl'"
                )
        if self.is_local:
            for path in self.paths:
                if os.path.exists(path) and not os.path.isfile(path):
                    raise SourceError(f"source: {path!r} is no regular file; give a copy of its content")

    @contextmanager
    def _opened(self, path: str) -> Iterator[BinaryIO]:
        # A web server may not be able to send a part of a file, and may not say how long it is: from end to end.
        with self._in_words(), self._fs.open(path, "rb", block_size=0 if self._is_web else _REMOTE_BLOCK_BYTES) as file:
            yield file

    def _digest(self, path: str) -> str:
        with self.open(path) as stream:
            return digest_stream(stream)

    def _name(self, path: str) -> str:
        """Name of a file from the source's folder on, in characters that any table and terminal takes."""
        name = PurePosixPath(path).name if self._is_web else path[len(self._named.base) :].lstrip("/")
        return name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

    def _format_of(self, path: str) -> str | None:
        return ending(path, self._endings)

    def _page(self, root: str) -> Named:
        try:
            self._fs.info(root)
        except FileNotFoundError as error:
            raise SourceError(f"source: {self.source!r} cannot be read ({error.__cause__ or error})") from error
        return Named([root], "")

    def _chosen(self, format: str, split: str) -> list[str]:
        """The files to read; of a folder those whose ending is known, of the split and of the format asked for."""
        paths = self._named.paths
        if self._named.is_folder:
            paths = [path for path in paths if self._format_of(path)]
            if format != "auto":
                paths = [path for path in paths if self._format_of(path) == format] or paths
            if not split:
                self._check_one_split(paths)
        if not split or self._named.pattern is None or not (splits := self._splits(paths)):
            return paths
        if split not in splits:
            raise SourceError(
                f"split: no file at {self.source!r} is of the split {split!r}{did_you_mean(split, splits) or '.'} "
                f"Their names tell: {', '.join(splits)}"
            )
        return [path for path in paths if split_of(self._name(path)) == split]

    def _check_one_split(self, paths: list[str]) -> None:
        splits = self._splits(paths)
        other = next((name for name in map(self._name, paths) if splits and not split_of(name)), "")
        if len(splits) > 1 or other:
            told = f"several splits ({', '.join(splits)})" if len(splits) > 1 else f"the split {splits[0]}"
            none = f", and {other!r} to none" if other else ""
            raise SourceError(
                f"source: the files at {self.source!r} belong to {told}{none}; set split to one of them, "
                f"or give a pattern such as '{self.source.rstrip('/')}/**' to read them all"
            )

    def _splits(self, paths: list[str]) -> list[str]:
        return sorted({split_of(self._name(path)) for path in paths} - {""})

    def _one_format(self) -> str:
        formats = {self._format_of(path) for path in self.paths}
        if len(formats) == 1 and (format := formats.pop()):
            return format
        known = sorted(filter(None, formats))
        several = f"its files are of several formats ({', '.join(known)})" if len(known) > 1 else "its name tells none"
        raise SourceError(
            f"source: cannot tell the format of {self.source!r} from its name, as {several}; set format to one of "
            f"{', '.join(dict.fromkeys(self._endings.values()))} (files end in {', '.join(self._endings)}, "
            "each also with .gz)"
        )

    def _not_found(self, root: str) -> str:
        try:
            names = {PurePosixPath(path).name for path in self._fs.ls(root.rpartition("/")[0], detail=False)}
        except (OSError, ValueError):
            names = set()
        name = PurePosixPath(root).name
        near = did_you_mean(name, names - {name}) or "."
        if self._named.is_folder:
            near = f", a folder of which no file ends in {', '.join(self._endings)}."
        return (
            f"source: no file with {self._what} at {self.source!r}{near} Give {self._others}, a dataset id 'org/name', "
            f"an existing path (relative paths start at {Path.cwd()}), or an address such as s3://bucket/file"
        )

    @contextmanager
    def _in_words(self) -> Iterator[None]:
        """Say which source it is that the operating system or a server refused."""
        try:
            yield
        except ImportError as error:
            raise SourceError(f"source: {self.source!r} needs a package that is not installed: {error}") from error
        except (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError) as error:
            raise SourceError(f"source: {self.source!r} cannot be read ({error})") from error
        except (OSError, *_http_errors()) as error:
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise
            raise OSError(f"source: {self.source!r} could not be read ({error!r}); run again") from error


def _digest_of(digests: Sequence[str]) -> str:
    return f"sha256:{digests[0] if len(digests) == 1 else digest_text(' '.join(digests))}"


def _http_errors() -> tuple[type[Exception], ...]:
    """Errors of the libraries behind addresses of the web and of the hub, which are loaded where they are used."""
    from aiohttp import ClientError
    from httpx import HTTPError

    return ClientError, HTTPError
