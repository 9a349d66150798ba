"""Long chains that plain next-token training learns beside the texts: mixed fine-tuning, in one stage."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tasks.errors import Permanent
from tasks.rl.beside.rows import TextRow
from tasks.rl.schedule import plan_batches
from tasks.rmt.rows import TextPlan, rows_of
from tasks.shared.engines.tokens import check_inside, own_prefix
from tasks.shared.tables.parquet import read_columns

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def read_chains(path: Path, tokenizer: "PreTrainedTokenizerBase", size: int) -> list[np.ndarray]:
    """All documents of a texts table as token ids, in file order, each closed by the end token.

    Tags and other marks that the tokenizer has a token for become that token, as when the model writes them.

    Args:
        size: rows of the model's embedding.

    Raises:
        Permanent: no documents, or tokens that the model's embedding does not have.
    """
    texts = read_columns(path, ("text",)).column("text").to_pylist()
    if not texts:
        raise Permanent(f"{path}: no chains to learn; see the ledger of the stage that wrote it")
    prefix, end = own_prefix(tokenizer), tokenizer.eos_token_id
    ids = tokenizer(texts, add_special_tokens=False, verbose=False)["input_ids"]
    check_inside(tokenizer, ids, size)
    return [np.array([*prefix, *row, *([] if row[-1:] == [end] else [end])], dtype=np.int64) for row in ids]


class MixedPlan:
    """The rows of a step's texts, and those of its chains: permutation after permutation of all of them."""

    def __init__(
        self,
        texts: TextPlan,
        chains: Sequence[np.ndarray],
        *,
        steps: int,
        chains_per_step: int,
        context_tokens: int,
        overlap_tokens: int,
        seed: int,
    ) -> None:
        self._texts, self._chains = texts, chains
        self._batches = plan_batches(len(chains), chains_per_step, 1, steps, seed)
        self._context_tokens, self._overlap_tokens = context_tokens, overlap_tokens

    def rows(self, step: int) -> list[TextRow]:
        """The rows of one step; every token of a chain but its first carries loss."""
        return [*self._texts.rows(step), *self._of_chains(step)]

    def tokens(self, step: int) -> int:
        """Counted tokens of one step, over all devices and micro-batches."""
        return sum(row.counted for row in self.rows(step))

    def _of_chains(self, step: int) -> list[TextRow]:
        chains = (self._chains[index] for index in self._batches[step])
        return [row for ids in chains for row in rows_of(ids, ids, self._context_tokens, self._overlap_tokens)]
