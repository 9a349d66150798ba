"""Sources of rows: files anywhere fsspec reaches, a dataset of the Hugging Face hub, the embedded world."""

import hashlib
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from tasks.questions.config import QuestionsConfig, TinyOptions
from tasks.questions.presets import load_preset
from tasks.shared.sources.errors import Record, Reject, SourceError
from tasks.shared.sources.files import SourceFiles
from tasks.shared.sources.hub import commit_of, hub_digest, is_hub_id, read_hub

if TYPE_CHECKING:
    from tasks.tiny.problems import Problem

_OTHERS = "'tiny', 'hub' with a preset"


def resolve(config: QuestionsConfig) -> QuestionsConfig:
    """`config` with the source looked at: its content digest, file format, and (hub) commit, subset and split.

    Reads local and remote files once to hash them. Raises `SourceError` where the source cannot be found.
    """
    if config.source_digest:
        return config
    if config.source == "tiny":
        return config.model_copy(update={"source_digest": _tiny_digest(config.tiny)})
    files = source_files(config)
    if files is None:
        return _resolve_hub(config)
    return config.model_copy(update={"format": files.format, "source_digest": files.digest()})


def source_files(config: QuestionsConfig) -> SourceFiles | None:
    """The files of a source; None for the embedded world and for a dataset of the hub."""
    if config.source in ("tiny", "hub") or is_hub_id(config.source):
        return None
    return SourceFiles(config.source, "questions", _OTHERS, format=config.format, split=config.split)


def source_digest(config: QuestionsConfig) -> str:
    """Digest of the source's content: `sha256:...` of files, `hub:<commit>:...`, or `tiny:...` of the problems."""
    return resolve(config).source_digest


def local_rows(config: QuestionsConfig) -> int:
    """Rows in the files of this machine that the source is; 0 where it is another, or its files are not here."""
    if config.source == "tiny":
        return 0
    try:
        files = source_files(config)
        return _count_rows(files, files.digest()) if files and files.is_local else 0
    except SourceError:
        return 0


def read_source(config: QuestionsConfig) -> Iterator[Record | Reject]:
    """The rows of a resolved source, streamed, in the order of the source."""
    if config.source == "tiny":
        yield from _tiny_rows(config.tiny)
    elif files := source_files(config):
        yield from files.read(config.source_digest)
    else:
        yield from read_hub(config.source, config.subset, config.split, config.revision)


def _resolve_hub(config: QuestionsConfig) -> QuestionsConfig:
    home = load_preset(config.preset).hub if config.preset else None
    if config.source == "hub" and home is None:
        raise SourceError(f"source: preset {config.preset!r} has no home on the hub; give a path or a dataset id")
    source = home.id if config.source == "hub" and home else config.source
    at_home = home is not None and home.id == source
    subset = config.subset or (home.subset if at_home and home else "")
    split = config.split or (home.split if at_home and home else "train")
    commit = commit_of(source, config.revision)
    return config.model_copy(
        update={
            "source": source,
            "revision": commit,
            "subset": subset,
            "split": split,
            "source_digest": hub_digest(commit, subset, split),
        }
    )


_COUNTED: dict[str, int] = {}
"""Rows by what the files hold: a plan asks for the size of a set several times."""


def _count_rows(files: SourceFiles, digest: str) -> int:
    key = f"{files.format} {digest}"
    if key not in _COUNTED:
        _COUNTED[key] = sum(isinstance(row, Record) for row in files.read(digest))
    return _COUNTED[key]


@lru_cache(maxsize=64)
def _tiny_digest(tiny: TinyOptions) -> str:
    """Digest of the problems; cached, because every stage flow that starts from questions needs it."""
    total = hashlib.sha256()
    for problem in _problems(tiny):
        total.update(f"{problem.question}\0{problem.answer}\0".encode())
    return f"tiny:{total.hexdigest()}"


def _tiny_rows(tiny: TinyOptions) -> Iterator[Record]:
    for number, problem in enumerate(_problems(tiny), start=1):
        row = {"question": problem.question, "answer": problem.answer, "family": problem.family}
        yield Record(f"tiny/{tiny.split}", number, row)


def _problems(tiny: TinyOptions) -> "list[Problem]":
    from tasks.tiny.problems import generate_problems

    try:
        return generate_problems(tiny.split, tiny.count, tiny.seed)
    except ValueError as error:
        raise SourceError(f"tiny: {error}") from error
