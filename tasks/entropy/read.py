"""Reads the entropy table for later stages, a row group at a time."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from tasks.entropy.schema import ENTROPY, ENTROPY_FILE
from tasks.shared.tables.parquet import read_groups

Split = Literal["train", "evaluation"]

_LISTS = ("tokens", "entropy", "log_prob", "top_token", "context_start")


@dataclass(frozen=True, slots=True, eq=False)
class DocumentEntropy:
    """One document with a model's scores of each of its positions; all arrays are as long as the document.

    Position 0 has nothing before it: entropy and log-probability are NaN there, the likeliest token is -1.
    """

    document_id: str
    split: Split
    given_tokens: int
    """Leading tokens that hold a given character; never a place to predict."""
    tokens: npt.NDArray[np.int32]
    entropy: npt.NDArray[np.float32]
    """Entropy in nats."""
    log_prob: npt.NDArray[np.float32]
    """Natural log of the probability of the true token."""
    top_token: npt.NDArray[np.int32]
    context_start: npt.NDArray[np.int32]
    """Position i was predicted from `tokens[context_start[i]:i]`."""


def read_documents(path: Path, split: Split) -> Iterator[DocumentEntropy]:
    """The documents of one split in order of their ids; `path` is the artifact's folder.

    One row group is in memory at a time. The arrays are views on it: copy what is to outlive the loop.
    Raises `tasks.shared.tables.parquet.ParquetError` for a table that is not whole or is not one of entropy.
    """
    for table in read_groups(Path(path) / ENTROPY_FILE, ENTROPY):
        if split in table.column("split").to_pylist():
            yield from (document for document in documents_of(table) if document.split == split)


def documents_of(table: pa.Table) -> Iterator[DocumentEntropy]:
    """The documents of a row group, in order. The arrays are views on it."""
    names = ("document_id", "split", "given_tokens")
    values = zip(*(table.column(name).to_pylist() for name in names), strict=True)
    lists = {name: table.column(name).combine_chunks() for name in _LISTS}
    for row, (document_id, split, given) in enumerate(values):
        arrays = {name: column[row].values.to_numpy() for name, column in lists.items()}
        yield DocumentEntropy(document_id, split, given, **arrays)
