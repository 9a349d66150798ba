"""The tables of a schedule, written from an entropy table in three passes over the documents.

The first finds the positions that can be drawn (9 bytes each in memory; texts are not kept), the second renders those
that were drawn, the third copies the documents that they are from.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.entropy.read import DocumentEntropy, read_documents
from tasks.errors import Permanent
from tasks.schedule.config import ScheduleConfig
from tasks.schedule.draw import Draws, draw
from tasks.schedule.positions import REASONS, SLACK_TOKENS, context_room, judge
from tasks.schedule.schema import PROMPT_GROUP, SCHEDULE, SCHEDULE_FILE, TEXTS, TEXTS_FILE, TOKEN_GROUP
from tasks.schedule.spans import INSIDE, Spans, TokenText
from tasks.shared.engines.tokens import encode_prompts
from tasks.shared.next_token.method import BELOW, TIERS, budget
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.shared.tables.parquet import Weight, write_parquet
from tasks.shared.tables.sorting import sort_rows

_SORTED_AT_ONCE = Weight(PROMPT_GROUP.of, 1 << 26)

Row = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Offered:
    """The positions that can be drawn, in order of document and place."""

    document: npt.NDArray[np.int32]
    """Number of the document among those read."""
    place: npt.NDArray[np.int32]
    tier: npt.NDArray[np.int8]
    documents_read: int
    unusable: dict[str, int]
    """Numbers of the other positions, by reason."""

    @property
    def documents(self) -> int:
        """Number of documents that have any such position."""
        return len(np.unique(self.document))


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """Contents of a schedule, for its summary."""

    offered: Offered
    draws: Draws
    used: npt.NDArray[np.int8]
    """Tier of each drawn position, of shape (steps, positions per step)."""
    documents: int
    """Documents that a position is drawn from."""


class Writer:
    """Writes one schedule."""

    def __init__(self, config: ScheduleConfig, entropy: Path, renderer: PredictionRenderer) -> None:
        """`entropy` is the folder of the entropy artifact; `renderer` has the policy's tokenizer.

        Raises `Permanent` for a prompt that leaves no room for a context.
        """
        self._config, self._entropy, self._renderer = config, entropy, renderer
        self._text = TokenText(renderer.tokenizer)
        self._room = context_room(renderer, config.max_prompt_tokens, config.budget.start)

    def write(self, out: Path, work: Path) -> Written:
        """Draw the whole run and write its tables into `out`; `work` is for temporary files.

        Raises:
            Permanent: no documents, a broken entropy table, or fewer positions than the run needs.
        """
        offered = self._offer()
        steps = run_steps(self._config, offered.documents)
        draws = draw(offered.tier, steps, self._config.positions_per_step, self._config.curriculum, self._config.seed)
        of_document = _by_document(offered, draws)
        rows = self._rows(offered, draws, of_document)
        ordered = sort_rows(rows, SCHEDULE, lambda row: (row["step"], row["slot"]), work, weight=_SORTED_AT_ONCE)
        write_parquet(ordered, out / SCHEDULE_FILE, SCHEDULE, sorted_by=("step", "slot"), weight=PROMPT_GROUP)
        documents = self._documents(offered, draws, of_document)
        count = write_parquet(documents, out / TEXTS_FILE, TEXTS, sorted_by=("document_id",), weight=TOKEN_GROUP)
        return Written(offered, draws, offered.tier[draws.index], count)

    def _read(self) -> Iterator[DocumentEntropy]:
        return islice(read_documents(self._entropy, "train"), self._config.max_documents)

    def _offer(self) -> Offered:
        of_documents: list[tuple[npt.NDArray[Any], ...]] = []
        unusable = Counter(dict.fromkeys(REASONS, 0))
        number = -1
        for number, document in enumerate(self._read()):
            tiers, counts = judge(document, self._spans(document), self._config.tiers, self._room)
            unusable.update(counts)
            places = np.flatnonzero(tiers != BELOW).astype(np.int32)
            of_documents.append((np.full(len(places), number, np.int32), places, tiers[places]))
        if not of_documents:
            raise Permanent("the entropy table has no training documents; see the ledger of the texts stage")
        columns = [np.concatenate(column) for column in zip(*of_documents, strict=True)]
        if not len(columns[0]):
            raise Permanent(f"no position of {number + 1} documents can be drawn: {_listed(unusable)}")
        return Offered(*columns, number + 1, dict(unusable))

    def _spans(self, document: DocumentEntropy) -> Spans:
        return self._text.spans(document.tokens)

    def _rows(self, offered: Offered, draws: Draws, of_document: dict[int, list[int]]) -> Iterator[Row]:
        index, drawn = draws.index.ravel(), draws.drawn.ravel()
        steps, slots = draws.index.shape
        asks = self._config.budget
        for number, document in enumerate(self._read()):
            places = of_document.get(number)
            if places is None:
                continue
            spans = self._spans(document)
            for place in places:
                step, slot = divmod(place, slots)
                asked = budget(step, steps, asks) if asks.enabled else 0
                yield {
                    "step": step,
                    "slot": slot,
                    "tier": TIERS[offered.tier[index[place]]],
                    "drawn_tier": TIERS[drawn[place]],
                    "budget": asked,
                    **self._position(document, spans, int(offered.place[index[place]]), asked),
                }

    def _position(self, document: DocumentEntropy, spans: Spans, place: int, asked: int) -> Row:
        start = int(document.context_start[place])
        prompt = self._renderer.prompt(spans.between(start, place), asked)
        if place - start > self._room - SLACK_TOKENS:
            self._check_length(document, place, prompt)
        continuation, boundaries = continue_from(spans, place, self._config.continuation_tokens)
        return {
            "document_id": document.document_id,
            "position": place,
            "entropy": float(document.entropy[place]),
            "prompt": prompt,
            "target_token": int(document.tokens[place]),
            "target": spans.between(place, place + 1),
            "continuation": continuation,
            "boundaries": boundaries,
        }

    def _check_length(self, document: DocumentEntropy, place: int, prompt: str) -> None:
        """Measure a prompt near the limit; further off, what a cut text gains by tokenizing it anew is too little."""
        (ids,) = encode_prompts(self._renderer.tokenizer, [prompt], adds_prefix=self._renderer.form.adds_prefix)
        if len(ids) > self._config.max_prompt_tokens:
            raise Permanent(
                f"document {document.document_id}, position {place}: its text has more tokens in a prompt than in the "
                f"document, {len(ids)} with the prompt; raise schedule.max_prompt_tokens="
                f"{self._config.max_prompt_tokens} to {len(ids)}"
            )

    def _documents(self, offered: Offered, draws: Draws, of_document: dict[int, list[int]]) -> Iterator[Row]:
        index, slots = draws.index.ravel(), draws.index.shape[1]
        for number, document in enumerate(self._read()):
            places = of_document.get(number)
            if places is not None:
                yield {
                    "document_id": document.document_id,
                    "tokens": document.tokens,
                    "drawn": np.sort(offered.place[index[places]]),
                    "first_step": places[0] // slots,
                }


def run_steps(config: ScheduleConfig, documents: int) -> int:
    """Steps of a run over documents that can be drawn from: as asked, or what `epochs` need, the last one filled up."""
    return config.steps or math.ceil(config.epochs * documents / config.positions_per_step)


def continue_from(spans: Spans, place: int, tokens: int) -> tuple[str, list[int]]:
    """Text of at most `tokens` tokens from `place` on, up to the last that ends between characters, and the byte
    offsets at which one does."""
    start = int(spans.starts[place])
    ends = [end for end in spans.ends[place : place + tokens].tolist() if end != INSIDE and end > start]
    text = spans.text[start : ends[-1]]
    return text, [len(text[: end - start].encode()) for end in dict.fromkeys(ends)]


def _by_document(offered: Offered, draws: Draws) -> dict[int, list[int]]:
    """Places in the run (step * positions per step + slot), ascending, by document."""
    places_of: dict[int, list[int]] = {}
    for place, number in enumerate(offered.document[draws.index.ravel()].tolist()):
        places_of.setdefault(number, []).append(place)
    return places_of


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {reason}" for reason, count in counts.items() if count)
