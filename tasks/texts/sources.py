"""Sources of documents: files anywhere fsspec reaches, a dataset of the Hugging Face hub, the embedded world."""

import hashlib
import json
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from tasks.shared.sources.errors import Record, Reject, SourceError
from tasks.shared.sources.files import SourceFiles
from tasks.shared.sources.hub import commit_of, hub_digest, is_hub_id, read_hub
from tasks.texts.config import TextsConfig
from tasks.texts.plain import TEXT_ENDINGS, TEXT_READERS

if TYPE_CHECKING:
    from tasks.tiny.texts import Document, TextKind, TextSplit

    TinySelection = tuple[TextSplit, int, int, TextKind]


def resolve(config: TextsConfig) -> TextsConfig:
    """`config` with its sources looked at: content digests, and (hub) commit and splits.

    Reads local and remote files once to hash them. Raises `SourceError` where a source cannot be found.
    """
    if config.source_digest:
        return config
    if config.source == "tiny":
        digests = [_tiny_digest(_tiny(config, held_out)) for held_out in (False, True)]
        return config.model_copy(update={"source_digest": digests[0], "evaluation_digest": digests[1]})
    on_hub = is_hub_id(config.source, TEXT_ENDINGS)
    if not on_hub and config.evaluation_split and not config.evaluation_source:
        if not _files(config, config.source, config.evaluation_split).is_split:
            raise SourceError(
                f"evaluation_split={config.evaluation_split!r} is for a dataset of the hub or a folder whose files' "
                f"names tell splits, which source {config.source!r} is not; set evaluation_source to the file with the "
                "held-out documents"
            )
    if on_hub:
        config = config.model_copy(update={"revision": commit_of(config.source, config.revision)})
    update = {"source_digest": _digest(config, config.source, config.split, "train")}
    if config.held_out_apart:
        evaluation_source = config.evaluation_source or config.source
        update["evaluation_digest"] = _digest(config, evaluation_source, config.evaluation_split, "test")
    return config.model_copy(update=update)


def read_source(config: TextsConfig, *, held_out: bool) -> Iterator[Record | Reject]:
    """The rows of a resolved source in its order, streamed: of the main one, or of that with held-out documents."""
    if config.source == "tiny":
        yield from _tiny_rows(_tiny(config, held_out))
        return
    source, digest = config.source, config.source_digest
    if held_out:
        source, digest = config.evaluation_source or source, config.evaluation_digest
    if digest.startswith("hub:"):
        _, commit, subset, split = digest.split(":", 3)
        yield from read_hub(source, subset, split, commit)
    else:
        split = config.evaluation_split if held_out else config.split
        yield from _files(config, source, split).read(digest.partition(":")[2], TEXT_READERS)


def _digest(config: TextsConfig, source: str, split: str, usual: str) -> str:
    """Digest of one source; the format read is part of it where the files' names, which are no identity, tell it.

    Args:
        usual: the split of a dataset of the hub where `split` is empty.
    """
    if not is_hub_id(source, TEXT_ENDINGS):
        files = _files(config, source, split)
        return f"{files.format}:{files.digest()}"
    commit = commit_of(source, config.revision if source == config.source else "")
    return hub_digest(commit, config.subset, split or usual)


def _files(config: TextsConfig, source: str, split: str) -> SourceFiles:
    return SourceFiles(source, "texts", "'tiny'", TEXT_ENDINGS, format=config.format, split=split)


def _tiny(config: TextsConfig, held_out: bool) -> "TinySelection":
    """Split, number, seed and kind of the documents."""
    tiny = config.tiny
    split, count = (tiny.evaluation, config.evaluation_documents) if held_out else ("train", tiny.count)
    return split, count, tiny.seed, tiny.kind


@lru_cache(maxsize=64)
def _tiny_digest(selection: "TinySelection") -> str:
    """Digest of the documents; cached, because every stage flow that starts from texts needs it."""
    total = hashlib.sha256()
    for document in _documents(selection):
        total.update(json.dumps([document.given_chars, document.text, document.meta], sort_keys=True).encode())
    return f"tiny:{total.hexdigest()}"


def _tiny_rows(selection: "TinySelection") -> Iterator[Record]:
    for number, document in enumerate(_documents(selection), start=1):
        given, text = document.text[: document.given_chars], document.text[document.given_chars :]
        yield Record(f"tiny/{selection[0]}", number, {**document.meta, "given": given, "text": text})


def _documents(selection: "TinySelection") -> "list[Document]":
    from tasks.tiny.texts import documents

    try:
        return documents(*selection)
    except ValueError as error:
        raise SourceError(f"tiny: {error}") from error
