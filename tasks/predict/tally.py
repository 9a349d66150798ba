"""Predictions of one checkpoint as arrays over documents and tiers, which intervals and comparisons are made from."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tasks.predict.schema import MODES, PREDICTIONS_FILE, REASONING
from tasks.shared.next_token.method import TIERS, Tier
from tasks.shared.tables.parquet import Row, read_rows
from tasks.spine.store.fingerprint import digest_text

EXACT, PREFIX = "exact", "prefix"
RULES = {EXACT: "correct", PREFIX: "prefix_correct"}
"""Matching rules, and their columns."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """Sums over positions by (document, tier); a position counts as the mean of its samples."""

    positions_digest: str
    """Digest of every (document, position, tier): the same for all checkpoints that predicted the same."""
    documents: tuple[str, ...]
    weights: Array
    """Positions, shape (documents, tiers)."""
    right: dict[tuple[str, str], Array]
    """Right predictions of each (mode, rule), shape (documents, tiers)."""
    lengths: Array
    """Tokens of reasoning, shape (documents, tiers)."""
    outcomes: dict[Tier, Counter[str]]
    """Completions with reasoning by tier and outcome."""

    @property
    def tiers(self) -> tuple[Tier, ...]:
        """Tiers that have positions."""
        return tuple(tier for index, tier in enumerate(TIERS) if self.weights[:, index].any())

    def columns(self, part: str) -> list[int]:
        """Columns that a part is made of: a tier, or `mean` for all three."""
        return list(range(len(TIERS))) if part == MEAN else [TIERS.index(part)]  # type: ignore[arg-type]

    @property
    def parts(self) -> tuple[str, ...]:
        """Tiers, and their mean where none is empty: a mean over other tiers would not be the paper's."""
        return (*self.tiers, *((MEAN,) if len(self.tiers) == len(TIERS) else ()))


MEAN = "mean"


def read_tally(folder: Path) -> Tally:
    """The tally of a prediction artifact."""
    columns = ["document_id", "position", "tier", "mode", *RULES.values(), "outcome", "reasoning_tokens"]
    return tally(read_rows(folder / PREDICTIONS_FILE, columns))


def tally(rows: Iterable[Row]) -> Tally:
    """Count predictions of schema `PREDICTIONS`.

    Raises:
        ValueError: a position has more predictions of a mode than another, or none; it would count for more.
    """
    samples: Counter[tuple[str, int, Tier, str]] = Counter()
    sums: Counter[tuple[str, Tier, str, str]] = Counter()
    outcomes: dict[Tier, Counter[str]] = {tier: Counter() for tier in TIERS}
    for row in rows:
        document, tier, mode = row["document_id"], row["tier"], row["mode"]
        samples[document, row["position"], tier, mode] += 1
        for rule, column in RULES.items():
            sums[document, tier, mode, rule] += row[column]
        if mode == REASONING:
            sums[document, tier, mode, "tokens"] += row["reasoning_tokens"]
            outcomes[tier][row["outcome"]] += 1
    places = sorted({key[:3] for key in samples})
    per_position = {mode: {samples[*place, mode] for place in places} for mode in MODES}
    if uneven := {mode: sorted(counts) for mode, counts in per_position.items() if len(counts) != 1 or 0 in counts}:
        raise ValueError(f"positions do not have the same number of predictions: {uneven}; predict again")
    documents = tuple(sorted({document for document, _, _ in places}))
    index = {document: row for row, document in enumerate(documents)}
    weights = np.zeros((len(documents), len(TIERS)))
    for document, _, tier in places:
        weights[index[document], TIERS.index(tier)] += 1

    def grid(mode: str, what: str) -> Array:
        (count,) = per_position[mode]
        values = [[sums[document, tier, mode, what] / count for tier in TIERS] for document in documents]
        return np.array(values, dtype=np.float64)

    return Tally(
        positions_digest=digest_text("\n".join(f"{document} {position} {tier}" for document, position, tier in places)),
        documents=documents,
        weights=weights,
        right={(mode, rule): grid(mode, rule) for mode in MODES for rule in RULES},
        lengths=grid(REASONING, "tokens"),
        outcomes=outcomes,
    )
