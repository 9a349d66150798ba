"""Each step's prompts (L_RL) and texts (L_NTP), read from a schedule's files, and long chains that are learned beside
them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tasks.errors import Permanent
from tasks.rl.beside.rows import TextRow
from tasks.rl.schedule import plan_batches
from tasks.shared.engines.tokens import check_inside, own_prefix
from tasks.shared.next_token.windows import windows
from tasks.shared.tables.parquet import read_columns
from tasks.shared.training.config import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SCHEDULE_FILE = "schedule.parquet"
TEXTS_FILE = "texts.parquet"
ASKED = ("prompt", "tier", "budget", "target", "target_token", "continuation", "boundaries")
"""Columns of the schedule that rollouts and rewards need."""


@dataclass(frozen=True)
class ScheduledText:
    """One document of the run."""

    tokens: np.ndarray
    drawn: np.ndarray
    """Positions that the schedule draws anywhere in the run."""


@dataclass(frozen=True)
class Run:
    """The whole run, as written ahead."""

    steps: int
    positions_per_step: int
    asked: dict[str, list[Any]]
    """Columns `ASKED`, a value per (step, slot), in that order."""
    documents: list[str]
    """Document that each (step, slot) draws from."""
    texts: dict[str, ScheduledText]

    def documents_of(self, step: int) -> list[str]:
        """Documents that a step draws from, each once."""
        start = step * self.positions_per_step
        return list(dict.fromkeys(self.documents[start : start + self.positions_per_step]))


def read_run(folder: Path) -> Run:
    """Read a schedule and check that it is whole.

    Raises:
        Permanent: a file, a column or a row is missing, or rows contradict the documents.
    """
    table = _columns(folder / SCHEDULE_FILE, ("step", "slot", "document_id", "position", *ASKED))
    texts = _columns(folder / TEXTS_FILE, ("document_id", "tokens", "drawn"))
    if not table["step"]:
        raise Permanent(f"{folder / SCHEDULE_FILE}: an empty schedule; see the ledger of the stage that wrote it")
    steps, slots = table["step"][-1] + 1, max(table["slot"]) + 1
    whole = [(step, slot) for step in range(steps) for slot in range(slots)]
    if list(zip(table["step"], table["slot"], strict=True)) != whole:
        raise Permanent(
            f"{folder / SCHEDULE_FILE}: {len(table['step'])} rows are not {steps} steps of {slots} slots in order; "
            "write the schedule again"
        )
    documents = {
        name: ScheduledText(np.asarray(tokens), np.asarray(drawn, dtype=np.int64))
        for name, tokens, drawn in zip(texts["document_id"], texts["tokens"], texts["drawn"], strict=True)
    }
    _check_targets(folder, table, documents)
    return Run(steps, slots, {name: table[name] for name in ASKED}, table["document_id"], documents)


def _columns(path: Path, names: Sequence[str]) -> dict[str, list[Any]]:
    if not path.exists():
        raise Permanent(f"{path} is missing; a schedule has {SCHEDULE_FILE} and {TEXTS_FILE}")
    table = read_columns(path, names)
    return {name: table.column(name).to_pylist() for name in names}


def _check_targets(folder: Path, table: dict[str, list[Any]], texts: dict[str, ScheduledText]) -> None:
    rows = zip(table["document_id"], table["position"], table["target_token"], strict=True)
    for row, (name, position, target) in enumerate(rows):
        text = texts.get(name)
        if text is None or position >= len(text.tokens) or text.tokens[position] != target:
            raise Permanent(
                f"{folder / SCHEDULE_FILE}: row {row} wants token {target} at position {position} of document {name}, "
                f"which {TEXTS_FILE} does not have there; write the schedule again"
            )


class TextPlan:
    """The rows of L_NTP: which tokens of which documents carry loss in each step.

    Every position of a step's documents is a target once, the first of a document and those that the schedule draws
    anywhere in the run excepted, so that no prediction is taught by heart before or after it is asked for.
    """

    def __init__(self, run: Run, *, context_tokens: int, overlap_tokens: int, keep_drawn: bool) -> None:
        """No row has more than `context_tokens`; `keep_drawn` counts drawn positions too: plain next-token training."""
        self._run, self._keep_drawn = run, keep_drawn
        self._context_tokens, self._overlap_tokens = context_tokens, overlap_tokens

    def rows(self, step: int) -> list[TextRow]:
        """The rows of one step that have at least one counted token."""
        rows = [row for name in self._run.documents_of(step) for row in self._rows(self._run.texts[name])]
        return [row for row in rows if row.counted]

    def tokens(self, step: int) -> int:
        """Counted tokens of one step, over all devices and micro-batches."""
        return sum(row.counted for row in self.rows(step))

    def _rows(self, text: ScheduledText) -> Iterator[TextRow]:
        labels = text.tokens.copy()
        if not self._keep_drawn:
            labels[text.drawn] = IGNORED
        return rows_of(text.tokens, labels, self._context_tokens, self._overlap_tokens)


def rows_of(tokens: np.ndarray, labels: np.ndarray, context_tokens: int, overlap_tokens: int) -> Iterator[TextRow]:
    """One document as rows of at most `context_tokens` tokens; together they have every label once."""
    # A row holds its last target too, which no position reads.
    for window in windows(len(labels), context_tokens - 1, overlap_tokens):
        part = labels[window.start : window.end].copy()
        part[: window.first - window.start] = IGNORED
        yield TextRow(tokens[window.start : window.end], part)


def read_chains(path: Path, tokenizer: "PreTrainedTokenizerBase", size: int, most: int) -> list[np.ndarray]:
    """The first documents of a texts table, whose ids are digests, as token ids, each closed by the end token.

    Tags and other marks that the tokenizer has a token for become that token, as when the model writes them.

    Args:
        size: rows of the model's embedding.
        most: documents that the run learns.

    Raises:
        Permanent: no documents, or tokens that the model's embedding does not have.
    """
    texts = read_columns(path, ("text",)).column("text").slice(0, most).to_pylist()
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
