"""Counts of an entropy run: documents, positions, and positions by entropy in bins that tiers can be cut from."""

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tasks.entropy.config import EntropyJob
from tasks.entropy.encoding import Encoded
from tasks.errors import Permanent
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.sources.errors import Reject
from tasks.shared.sources.rejects import reasons_of
from tasks.shared.tables.parquet import count_rows
from tasks.spine.stage.worker import Reporter
from tasks.texts.schema import SPLIT_FILES

if TYPE_CHECKING:
    from tasks.entropy.passes import Scored

BINS_PER_NAT = 20
"""Bins are 0.05 nats wide (ours), so that every threshold with at most one decimal place is an edge."""

Histogram = npt.NDArray[np.int64]


def empty_histogram(vocabulary: int) -> Histogram:
    """A histogram for distributions over `vocabulary` tokens, whose entropy is at most its natural logarithm."""
    return np.zeros(int(np.log(vocabulary) * BINS_PER_NAT) + 2, dtype=np.int64)


def count_into(histogram: Histogram, entropy: npt.NDArray[np.float32]) -> None:
    """Add positions (nats, finite) to a histogram; bin i holds [i, i + 1) / `BINS_PER_NAT` nats."""
    bins = np.floor(entropy.astype(np.float64) * BINS_PER_NAT).astype(np.int64)
    histogram += np.bincount(np.clip(bins, 0, len(histogram) - 1), minlength=len(histogram))


def trimmed(histogram: Histogram) -> list[int]:
    """Counts as plain numbers, without the empty bins at the end."""
    return histogram[: np.flatnonzero(histogram)[-1] + 1].tolist() if histogram.any() else []


class EntropyTally:
    """Counts of documents and positions on the way through a corpus."""

    def __init__(self, job: EntropyJob, reporter: Reporter, vocabulary: int) -> None:
        self.job = job
        self.rejects: list[Reject] = []
        self.documents: Counter[str] = Counter()
        self.positions: Counter[str] = Counter()
        self.histograms = {split: empty_histogram(vocabulary) for split in SPLIT_FILES}
        self.model_seconds = 0.0
        self._reporter = reporter
        self._total = sum(count_rows(job.texts / name) for name in SPLIT_FILES.values())

    def usable(self, documents: Iterator[Encoded | Reject]) -> Iterator[Encoded]:
        """The documents that can be used; the others are noted."""
        for document in documents:
            if isinstance(document, Reject):
                self.rejects.append(document)
            else:
                yield document

    def note(self, scored: "list[Scored]", seconds: float) -> None:
        """Count one chunk that took the model `seconds`, and report."""
        self.model_seconds += seconds
        for result in scored:
            split, length = result.document.split, len(result.document.tokens)
            first = max(1, result.document.given_tokens)
            self.documents[split] += 1
            self.positions[split] += length - min(first, length)
            self.positions["all"] += length - 1
            count_into(self.histograms[split], result.entropy[first:])
        done = sum(self.documents.values()) + len(self.rejects)
        self._reporter.progress(done, self._total, "documents", positions_per_s=self.positions_per_s())

    def positions_per_s(self) -> float:
        """Positions per second of the model's time."""
        return self.positions["all"] / max(self.model_seconds, 1e-9)

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

    def result(self, seconds: float) -> dict[str, Any]:
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
            "positions_per_s": round(self.positions_per_s(), 1),
            "seconds": round(seconds, 3),
            "rejected": dict(reasons_of(self.rejects).most_common(20)),
            "tokenizer_digest": tokenizer_digest(self.job.model),
        }
