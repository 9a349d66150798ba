"""Rows of a dataset of the Hugging Face hub, at a fixed commit."""

import os
import re
from collections.abc import Iterator, Mapping
from itertools import chain

from tasks.shared.sources.errors import Record, SourceError
from tasks.shared.sources.places import ENDINGS, ending

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_COMMIT = re.compile(r"[0-9a-f]{40}")


def is_hub_id(source: str, endings: Mapping[str, str] = ENDINGS) -> bool:
    """Whether `source` reads as `org/name` and is no path on this machine."""
    if "://" in source or os.path.exists(os.path.expanduser(source)) or ending(source, endings):
        return False
    return bool(_HUB_ID.fullmatch(source))


def hub_digest(commit: str, subset: str, split: str) -> str:
    """Identity of a split's content: a commit never changes."""
    return f"hub:{commit}:{subset}:{split}"


def commit_of(dataset: str, revision: str) -> str:
    """The commit that `revision` (empty: the default branch) names; raises `SourceError` where the hub has none."""
    if _COMMIT.fullmatch(revision):
        return revision
    from huggingface_hub import HfApi
    from huggingface_hub.errors import RepositoryNotFoundError, RevisionNotFoundError

    try:
        commit = HfApi().dataset_info(dataset, revision=revision or None).sha
    except RepositoryNotFoundError as error:
        raise SourceError(
            f"source: the hub has no dataset {dataset!r} that you may read; check the id, or log in for a gated one"
        ) from error
    except RevisionNotFoundError as error:
        raise SourceError(f"revision: dataset {dataset!r} has no revision {revision!r}") from error
    except Exception as error:  # the client's network errors share no base class across its versions
        raise SourceError(_offline(dataset, error)) from error
    if not commit:
        raise SourceError(f"revision: the hub names no commit for dataset {dataset!r}; give revision as a commit")
    return commit


def read_hub(dataset: str, subset: str, split: str, commit: str) -> Iterator[Record]:
    """The rows of a split, or of several (`train+test`), at a commit, streamed one split after the other.

    Raises `SourceError` where the dataset has no such split.
    """
    import datasets

    try:
        # Streaming knows no sum of splits.
        parts = [
            datasets.load_dataset(dataset, subset or None, split=part, revision=commit, streaming=True)
            for part in split.split("+")
        ]
    except ValueError as error:
        raise SourceError(f"source: {dataset!r} has no subset {subset!r} with split {split!r}: {error}") from error
    except Exception as error:  # as in commit_of
        raise SourceError(_offline(dataset, error)) from error
    for number, row in enumerate(chain.from_iterable(parts), start=1):
        yield Record(dataset, number, row)


def _offline(dataset: str, error: Exception) -> str:
    return (
        f"source: dataset {dataset!r} could not be fetched from the hub ({type(error).__name__}: {error}). "
        f"Without a network, download its files elsewhere and give their path as source; the other settings stay"
    )
