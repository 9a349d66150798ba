"""Which held-out positions are predicted: of each tier as many as asked for, spread over documents.

What can be drawn at all is the schedule's rule. Draws depend on the base model's entropy, the seed and document ids
alone, so every checkpoint meets the same positions, and asking for more of them keeps those that were there.
"""

import heapq
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tasks.entropy.read import DocumentEntropy, read_documents
from tasks.errors import Permanent
from tasks.predict.config import PredictConfig
from tasks.schedule.positions import context_room, judge
from tasks.schedule.spans import TokenText
from tasks.schedule.write import continue_from
from tasks.shared.next_token.method import TIERS, Tier
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.spine.store.fingerprint import digest_text, stable_seed

CONTINUATION_TOKENS = 16
"""Tokens of the true continuation that the prefix rule looks at; the schedule's default. Ours."""
SPLIT = "evaluation"


@dataclass(frozen=True, slots=True)
class Position:
    """One token to predict."""

    document_id: str
    position: int
    tier: Tier
    context: str
    """Text before it, as far back as its entropy was computed from."""
    before: int
    """Token before it."""
    token: int
    target: str
    """Text of the token."""
    continuation: str
    boundaries: list[int]
    """Byte offsets in the continuation at which a token ends."""

    @property
    def key(self) -> tuple[str, int]:
        """Unique among positions."""
        return self.document_id, self.position


@dataclass(frozen=True)
class Drawn:
    """Positions in order of (document, position), and what they were drawn from."""

    positions: list[Position]
    tokens: dict[str, list[int]]
    """Tokens of each document that holds one, up to its last position."""
    offered: dict[Tier, int]
    """Positions that could have been drawn, in the documents that were read."""
    unusable: dict[str, int]
    """The others by reason."""
    documents_read: int


def draw_positions(entropy: Path, config: PredictConfig, renderer: PredictionRenderer) -> Drawn:
    """Draw from the evaluation split of an entropy artifact's folder.

    Raises:
        Permanent: no position can be drawn, or no prompt fits into `max_prompt_tokens`.
    """
    room = context_room(renderer, config.max_prompt_tokens, config.budget_tokens)
    spans = TokenText(renderer.tokenizer)
    chosen = _documents(entropy, config)
    offered: dict[Tier, list[tuple[int, str, str, int]]] = {tier: [] for tier in TIERS}
    unusable: Counter[str] = Counter()
    for document in _read(entropy, chosen):
        tiers, reasons = judge(document, spans.spans(document.tokens), config.tiers, room)
        unusable.update(reasons)
        random = np.random.default_rng(stable_seed(config.seed, document.document_id))
        for index, tier in enumerate(TIERS):
            places = random.permutation(np.flatnonzero(tiers == index)).tolist()
            name = document.document_id
            offered[tier] += [(rank, chosen[name], name, place) for rank, place in enumerate(places)]
    # The first of every document, then the second of those that have one, and so on.
    taken = {
        (name, place): tier
        for tier, found in offered.items()
        for _, _, name, place in heapq.nsmallest(config.positions_per_tier, found)
    }
    if not taken:
        counts = ", ".join(f"{count:,} {reason}" for reason, count in unusable.items() if count)
        raise Permanent(f"no position of {len(chosen)} held-out documents can be predicted: {counts or 'no documents'}")
    drawn = _positions(entropy, chosen, taken, spans)
    sizes = {tier: len(found) for tier, found in offered.items()}
    return Drawn(*drawn, sizes, dict(unusable), len(chosen))


def _documents(entropy: Path, config: PredictConfig) -> dict[str, str]:
    """The ids of the documents to draw from, each with the digest that its place in the order comes from."""
    order = ((digest_text(f"{config.seed} {found.document_id}"), found.document_id) for found in _read(entropy))
    return {name: digest for digest, name in heapq.nsmallest(config.documents, order)}


def _read(entropy: Path, chosen: dict[str, str] | None = None) -> Iterator[DocumentEntropy]:
    for document in read_documents(entropy, SPLIT):
        if chosen is None or document.document_id in chosen:
            yield document


def _positions(
    entropy: Path, chosen: dict[str, str], taken: dict[tuple[str, int], Tier], text: TokenText
) -> tuple[list[Position], dict[str, list[int]]]:
    places: dict[str, list[int]] = {}
    for name, place in sorted(taken):
        places.setdefault(name, []).append(place)
    found: list[Position] = []
    tokens: dict[str, list[int]] = {}
    for document in _read(entropy, chosen):
        name = document.document_id
        if name in places:
            found += [_position(document, place, taken[name, place], text) for place in places[name]]
            tokens[name] = document.tokens[: places[name][-1] + 1].tolist()
    return found, tokens


def _position(document: DocumentEntropy, place: int, tier: Tier, text: TokenText) -> Position:
    spans = text.spans(document.tokens)
    continuation, boundaries = continue_from(spans, place, CONTINUATION_TOKENS)
    return Position(
        document_id=document.document_id,
        position=place,
        tier=tier,
        context=spans.between(int(document.context_start[place]), place),
        before=int(document.tokens[place - 1]),
        token=int(document.tokens[place]),
        target=spans.between(place, place + 1),
        continuation=continuation,
        boundaries=boundaries,
    )
