"""Documents as tokens: nothing added, nothing cut, nothing that is not text."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tasks.entropy.config import EntropyConfig
from tasks.errors import Permanent
from tasks.shared.sources.errors import Reject, excerpt
from tasks.shared.tables.parquet import group_sizes, read_groups
from tasks.texts.schema import SPLIT_FILES, TEXTS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

BATCH_CHARS = 1 << 20
"""Characters that are tokenized at once (ours)."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """A document as tokens."""

    document_id: str
    split: str
    given_tokens: int
    tokens: npt.NDArray[np.int32]


class Encoder:
    """Tokenizes documents with a model's tokenizer, and says which cannot be used."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase", config: EntropyConfig) -> None:
        """Raises `Permanent` for a tokenizer that cannot say which characters a token stands for."""
        if not tokenizer.is_fast:
            raise Permanent(f"{type(tokenizer).__name__} gives no offsets of its tokens; a tokenizer.json is needed")
        # It adds special tokens, which documents have none of, and would trim spaces from the offsets.
        tokenizer.backend_tokenizer.post_processor = None
        self._tokenizer = tokenizer
        special = {token.content for token in tokenizer.added_tokens_decoder.values() if token.special}
        self._reserved = sorted({*special, *tokenizer.all_special_tokens, *config.reserved_texts} - {""})

    def encode(self, rows: Sequence[dict[str, Any]], split: str, first_line: int) -> Iterator[Encoded | Reject]:
        """Documents (rows of a texts table) as tokens, in order; `first_line` is the row number of the first."""
        reserved = [next((text for text in self._reserved if text in row["text"]), None) for row in rows]
        usable = [row["text"] for row, reserved_text in zip(rows, reserved, strict=True) if reserved_text is None]
        encoded = self._tokenizer(
            usable,
            add_special_tokens=False,
            split_special_tokens=True,
            return_offsets_mapping=True,
            return_attention_mask=False,
            verbose=False,
        )
        results = zip(encoded["input_ids"], encoded["offset_mapping"], strict=True) if usable else iter(())
        for line, (row, reserved_text) in enumerate(zip(rows, reserved, strict=True), start=first_line):
            reason = (
                f"contains {reserved_text!r}, which is not text to the tokenizer" if reserved_text is not None else ""
            )
            if not reason:
                tokens, offsets = next(results)
                if len(tokens) >= 2:
                    given = _given_tokens(offsets, row["given_chars"])
                    yield Encoded(row["document_id"], split, given, np.array(tokens, dtype=np.int32))
                    continue
                reason = f"is {len(tokens)} tokens long; a document needs two, one to predict and one before it"
            yield Reject(SPLIT_FILES[split], line, "text", excerpt(f"{row['document_id']}: {row['text']}"), reason)


@dataclass(frozen=True)
class TextUnit:
    """A row group of the texts, read by one worker: its passes are the same however many workers there are."""

    number: int
    """Place in the order of (split, id)."""
    split: str
    group: int
    """Number of the row group in the split's file."""
    first_line: int
    rows: int

    def table(self, folder: Path) -> Path:
        """File of its entropies; it is written last."""
        return folder / f"{self.number:06d}.parquet"

    def rejects(self, folder: Path) -> Path:
        """File of its documents that cannot be used."""
        return folder / f"{self.number:06d}.rejects.parquet"


def units_of(folder: Path) -> list[TextUnit]:
    """The row groups of a texts artifact, in order of (split, id)."""
    units: list[TextUnit] = []
    for split, name in SPLIT_FILES.items():
        line = 1
        for group, rows in enumerate(group_sizes(folder / name)):
            units.append(TextUnit(len(units), split, group, line, rows))
            line += rows
    return units


def read_encoded(folder: Path, unit: TextUnit, encoder: Encoder) -> Iterator[Encoded | Reject]:
    """Every document of a unit in order of its id, tokenized in bounded memory."""
    line = unit.first_line
    [table] = read_groups(folder / SPLIT_FILES[unit.split], TEXTS, [unit.group])
    for batch in _batches(table.to_pylist()):
        yield from encoder.encode(batch, unit.split, line)
        line += len(batch)


def chunks(documents: Iterable[Encoded], tokens: int) -> Iterator[list[Encoded]]:
    """Yield neighbours of at least `tokens` tokens together, but for the last ones."""
    chunk: list[Encoded] = []
    held = 0
    for document in documents:
        chunk.append(document)
        held += len(document.tokens)
        if held >= tokens:
            yield chunk
            chunk, held = [], 0
    if chunk:
        yield chunk


def _batches(rows: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    batch: list[dict[str, Any]] = []
    held = 0
    for row in rows:
        batch.append(row)
        held += len(row["text"])
        if held >= BATCH_CHARS:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _given_tokens(offsets: Sequence[tuple[int, int]], given_chars: int) -> int:
    """Leading tokens that begin before the end of the given part, so that each holds a given character."""
    return next((index for index, (start, _) in enumerate(offsets) if start >= given_chars), len(offsets))
