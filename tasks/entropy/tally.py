"""The tables of all units as one, and what is counted on the way: documents, positions, positions by entropy."""

from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tasks.entropy.encoding import TextUnit
from tasks.entropy.read import DocumentEntropy, documents_of
from tasks.entropy.schema import ENTROPY, ENTROPY_FILE, GROUP, ORDER
from tasks.errors import Permanent
from tasks.shared.sources.errors import Reject
from tasks.shared.sources.rejects import REJECTS, REJECTS_FILE, reasons_of, write_rejects
from tasks.shared.tables.parquet import Row, read_groups, read_rows, write_parquet
from tasks.texts.schema import SPLIT_FILES

BINS_PER_NAT = 20
"""Bins are 0.05 nats wide (ours), so that every threshold with at most one decimal place is an edge."""
MOST_NATS = 24
"""Higher entropies are in the last bin: no vocabulary has so many tokens that one is (ours)."""

Histogram = npt.NDArray[np.int64]


def empty_histogram() -> Histogram:
    """A histogram for distributions over any vocabulary."""
    return np.zeros(MOST_NATS * BINS_PER_NAT, dtype=np.int64)


def count_into(histogram: Histogram, entropy: npt.NDArray[np.float32]) -> None:
    """Add positions (nats, finite) to a histogram; bin i holds [i, i + 1) / `BINS_PER_NAT` nats."""
    bins = np.floor(entropy.astype(np.float64) * BINS_PER_NAT).astype(np.int64)
    histogram += np.bincount(np.clip(bins, 0, len(histogram) - 1), minlength=len(histogram))


def trimmed(histogram: Histogram) -> list[int]:
    """Counts as plain numbers, without the empty bins at the end."""
    return histogram[: np.flatnonzero(histogram)[-1] + 1].tolist() if histogram.any() else []


class EntropyTally:
    """Counts of documents and positions of a whole table."""

    def __init__(self, rejects: Iterable[Reject]) -> None:
        self.rejects = list(rejects)
        self.documents: Counter[str] = Counter()
        self.positions: Counter[str] = Counter()
        self.histograms = {split: empty_histogram() for split in SPLIT_FILES}

    def note(self, document: DocumentEntropy) -> None:
        """Count one document."""
        split, length = document.split, len(document.tokens)
        first = max(1, document.given_tokens)
        self.documents[split] += 1
        self.positions[split] += length - min(first, length)
        self.positions["all"] += length - 1
        count_into(self.histograms[split], document.entropy[first:])

    def check_any(self) -> None:
        """Raise `Permanent` where no document could be used."""
        missing = [split for split in SPLIT_FILES if not self.documents[split]]
        if not missing:
            return
        reasons = ", ".join(f"{count} x {reason}" for reason, count in reasons_of(self.rejects).most_common(3))
        raise Permanent(
            f"no document of the {' and the '.join(missing)} texts can be used ({reasons}); give texts of at least two "
            "tokens that hold neither special tokens nor entropy.reserved_texts, or a model with another tokenizer"
        )

    def result(self) -> dict[str, Any]:
        """Ledger and summary for the manifest."""
        documents = {f"{split}_documents": self.documents[split] for split in SPLIT_FILES}
        return {
            "ledger": {"read": sum(documents.values()) + len(self.rejects), **documents, "rejected": len(self.rejects)},
            "positions": self.positions["all"],
            "free_positions": {split: self.positions[split] for split in SPLIT_FILES},
            "histogram": {
                "bins_per_nat": BINS_PER_NAT,
                **{split: trimmed(counts) for split, counts in self.histograms.items()},
            },
            "rejected": dict(reasons_of(self.rejects).most_common(20)),
        }


def joined(units: Iterable[TextUnit], folder: Path, out: Path) -> dict[str, Any]:
    """Write entropy.parquet and rejects.parquet from the units' tables in `folder`; returns ledger and summary.

    Raises:
        Permanent: no document can be used.
    """
    units = list(units)
    tally = EntropyTally(Reject(**row) for unit in units for row in read_rows(unit.rejects(folder), schema=REJECTS))
    rows = _counted(units, folder, tally)
    write_parquet(rows, out / ENTROPY_FILE, ENTROPY, sorted_by=ORDER, weight=GROUP)
    write_rejects(tally.rejects, out / REJECTS_FILE)
    return tally.result()


def _counted(units: Iterable[TextUnit], folder: Path, tally: EntropyTally) -> Iterator[Row]:
    for unit in units:
        for table in read_groups(unit.table(folder), ENTROPY):
            for document in documents_of(table):
                tally.note(document)
                yield {name: getattr(document, name) for name in ENTROPY.names}
    tally.check_any()
