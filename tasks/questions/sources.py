"""Where rows come from: files anywhere fsspec reaches, a dataset of the Hugging Face hub, the embedded world."""

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

import fsspec

from tasks.questions.config import QuestionsConfig, TinyOptions
from tasks.questions.errors import QuestionError, Record, Reject, closest
from tasks.questions.presets import load_preset
from tasks.questions.readers import read_file

if TYPE_CHECKING:
    from tasks.tiny.problems import Problem

_ENDINGS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "json", ".csv": "csv", ".parquet": "parquet"}
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_BLOCK = 2**20


def resolve(config: QuestionsConfig) -> QuestionsConfig:
    """`config` with the source looked at: its content digest, file format, and (hub) commit, subset and split.

    Reads local and remote files once to hash them. Raises `QuestionError` where the source cannot be found.
    """
    if config.source_digest:
        return config
    if config.source == "tiny":
        return config.model_copy(update={"source_digest": _tiny_digest(config.tiny)})
    if config.source == "hub" or _is_hub_id(config.source):
        return _resolve_hub(config)
    files = _Files(config.source)
    update = {"format": files.format(config.format), "source_digest": files.digest()}
    return config.model_copy(update=update)


def source_digest(config: QuestionsConfig) -> str:
    """Digest of the source's content: `sha256:...` of files, `hub:<commit>:...`, or `tiny:...` of the problems."""
    return resolve(config).source_digest


def read_source(config: QuestionsConfig) -> Iterator[Record | Reject]:
    """The rows of a resolved source, streamed, in the order of the source."""
    if config.source == "tiny":
        yield from _tiny_rows(config.tiny)
    elif config.source_digest.startswith("hub:"):
        yield from _hub_rows(config)
    else:
        files = _Files(config.source)
        for path in files.paths:
            with files.open(path) as stream:
                yield from read_file(stream, PurePosixPath(path).name, config.format)


def _is_hub_id(source: str) -> bool:
    if "://" in source or Path(source).expanduser().exists() or _ending(source):
        return False
    return bool(_HUB_ID.fullmatch(source))


class _Files:
    """One or several files behind a path, folder, glob or fsspec address."""

    def __init__(self, source: str) -> None:
        self.source = source
        address = source if "://" in source else str(Path(source).expanduser())
        self._fs, root = fsspec.core.url_to_fs(address)
        if any(mark in root for mark in "*?["):
            found = self._fs.glob(root)
        elif self._fs.isdir(root):
            found = [path for path in self._fs.find(root) if _ending(path)]
        else:
            found = [root] if self._fs.exists(root) else []
        self.paths = sorted(found)
        if not self.paths:
            raise QuestionError(self._not_found(root))

    def open(self, path: str) -> BinaryIO:
        return self._fs.open(path, "rb")

    def format(self, wanted: str) -> str:
        """The format asked for, or the one that all endings agree on."""
        if wanted != "auto":
            return wanted
        formats = {_ending(path) for path in self.paths}
        if len(formats) == 1 and (format := formats.pop()):
            return format
        raise QuestionError(
            f"source: cannot tell the format of {self.source!r} from its name; set format to one of "
            f"jsonl, json, csv, parquet (files end in {', '.join(_ENDINGS)}, each also with .gz)"
        )

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
        near = closest(PurePosixPath(root).name, names)
        return (
            f"source: no file with questions at {self.source!r}{near} Give 'tiny', 'hub' with a preset, a dataset id "
            f"'org/name', an existing path (relative paths start at {Path.cwd()}), or an address such as s3://bucket/file"
        )


def _ending(path: str) -> str | None:
    return _ENDINGS.get(PurePosixPath(path.removesuffix(".gz")).suffix.lower())


def _resolve_hub(config: QuestionsConfig) -> QuestionsConfig:
    home = load_preset(config.preset).hub if config.preset else None
    if config.source == "hub" and home is None:
        raise QuestionError(
            f"source: preset {config.preset!r} has no home on the hub; give a path or a dataset id"
        )
    source = home.id if config.source == "hub" and home else config.source
    at_home = home is not None and home.id == source
    subset = config.subset or (home.subset if at_home and home else "")
    split = config.split or (home.split if at_home and home else "train")
    commit = _commit(source, config.revision)
    return config.model_copy(
        update={
            "source": source,
            "revision": commit,
            "subset": subset,
            "split": split,
            "source_digest": f"hub:{commit}:{subset}:{split}",
        }
    )


def _commit(dataset: str, revision: str) -> str:
    if _COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        commit = HfApi().dataset_info(dataset, revision=revision or None).sha
    except RepositoryNotFoundError as error:
        raise QuestionError(
            f"source: the hub has no dataset {dataset!r} that you may read; check the id, or log in for a gated one"
        ) from error
    except RevisionNotFoundError as error:
        raise QuestionError(f"revision: dataset {dataset!r} has no revision {revision!r}") from error
    except Exception as error:  # the client's network errors share no base class across its versions
        raise QuestionError(_offline(dataset, error)) from error
    if not commit:
        raise QuestionError(
            f"revision: the hub names no commit for dataset {dataset!r}; give revision as a commit"
        )
    return commit


def _hub_rows(config: QuestionsConfig) -> Iterator[Record]:
    import datasets

    try:
        rows = datasets.load_dataset(
            config.source, config.subset or None, split=config.split, revision=config.revision, streaming=True
        )
    except ValueError as error:
        raise QuestionError(
            f"source: {config.source!r} has no subset {config.subset!r} with split {config.split!r}: {error}"
        ) from error
    except Exception as error:  # as in _commit
        raise QuestionError(_offline(config.source, error)) from error
    for number, row in enumerate(rows, start=1):
        yield Record(config.source, number, row)


def _offline(dataset: str, error: Exception) -> str:
    return (
        f"source: dataset {dataset!r} could not be fetched from the hub ({type(error).__name__}: {error}). "
        f"Without a network, download its files elsewhere and give their path as source; preset stays as it is"
    )


def _tiny_digest(tiny: TinyOptions) -> str:
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
        raise QuestionError(f"tiny: {error}") from error
