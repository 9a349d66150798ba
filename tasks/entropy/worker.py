"""The child process that computes entropies: reads texts, writes one table, in bounded memory."""

import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.entropy import histogram
from tasks.entropy.config import EntropyConfig, EntropyJob
from tasks.entropy.encoding import Encoded, Encoder, chunks, read_encoded
from tasks.entropy.schema import ENTROPY, ENTROPY_FILE, GROUP
from tasks.errors import Permanent
from tasks.shared.engines.factory import UNUSED_BY_TRANSFORMERS, resolve_device
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.engines.tokens import context_length, load_tokenizer
from tasks.shared.sources.errors import Reject
from tasks.shared.sources.rejects import REJECTS_FILE, reasons_of, write_rejects
from tasks.shared.tables.parquet import Row, count_rows, write_parquet
from tasks.spine.stage.imports import hide_packages, offline
from tasks.spine.stage.worker import Reporter, worker_main
from tasks.spine.store.runtime import Runtime
from tasks.texts.schema import SPLIT_FILES

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tasks.entropy.passes import Scored

CHUNK_TOKENS = 1 << 18
"""Tokens whose windows are sorted by length together, and held in memory (ours)."""


class Run:
    """What is counted on the way through the corpus."""

    def __init__(self, job: EntropyJob, reporter: Reporter, vocabulary: int) -> None:
        self.job = job
        self.rejects: list[Reject] = []
        self.documents: Counter[str] = Counter()
        self.positions: Counter[str] = Counter()
        self.histograms = {split: histogram.empty(vocabulary) for split in SPLIT_FILES}
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
        """Take in one chunk that took so many seconds of the model, and report."""
        self.model_seconds += seconds
        for result in scored:
            split, length = result.document.split, len(result.document.tokens)
            first = max(1, result.document.given_tokens)
            self.documents[split] += 1
            self.positions[split] += length - min(first, length)
            self.positions["all"] += length - 1
            histogram.count(result.entropy[first:], self.histograms[split])
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
        """What goes into the manifest."""
        counts = {f"{split}_documents": self.documents[split] for split in SPLIT_FILES}
        return {
            "ledger": {"read": sum(counts.values()) + len(self.rejects), **counts, "rejected": len(self.rejects)},
            "positions": self.positions["all"],
            "free_positions": {split: self.positions[split] for split in SPLIT_FILES},
            "histogram": {
                "bins_per_nat": histogram.BINS_PER_NAT,
                **{split: histogram.trimmed(counts) for split, counts in self.histograms.items()},
            },
            "positions_per_s": round(self.positions_per_s(), 1),
            "seconds": round(seconds, 3),
            "rejected": dict(reasons_of(self.rejects).most_common(20)),
            "tokenizer_digest": tokenizer_digest(self.job.model),
        }


def run(job: EntropyJob, reporter: Reporter) -> dict[str, Any]:
    """Write entropy.parquet and rejects.parquet; returns the ledger and the summary.

    Raises:
        Permanent: settings that the model does not allow, or no document that can be used.
    """
    config, started = job.config, time.perf_counter()
    context = context_length(job.model)
    if context is not None and config.context_tokens > context:
        raise Permanent(
            f"entropy.context_tokens={config.context_tokens} is more than the model's context of {context} tokens; "
            f"set it to {context} or less (and entropy.overlap_tokens below it)"
        )
    encoder = Encoder(load_tokenizer(job.model, trust_remote_code=job.runtime.trust_remote_code), config)
    model = open_model(job.model, config, job.runtime)
    counts = Run(job, reporter, model.get_output_embeddings().weight.shape[0])
    documents = counts.usable(read_encoded(job.texts, encoder))
    table = job.out / ENTROPY_FILE
    rows = _rows(job, model, documents, counts)
    write_parquet(rows, table, ENTROPY, sorted_by=("split", "document_id"), weight=GROUP)
    write_rejects(counts.rejects, job.out / REJECTS_FILE)
    return counts.result(time.perf_counter() - started)


def open_model(folder: Path, config: EntropyConfig, runtime: Runtime) -> "PreTrainedModel":
    """The model of a folder, on its device, in the precision of the settings.

    Raises:
        Permanent: its logits are more than its output layer's, or it has fewer tokens than `top_k`.
    """
    with hide_packages(*UNUSED_BY_TRANSFORMERS):
        import torch

        from tasks.shared.models.causal_lm import is_plain_head, load_causal_lm
    if runtime.num_threads:
        torch.set_num_threads(runtime.num_threads)
    model = load_causal_lm(
        folder,
        dtype=config.dtype,
        device=resolve_device(runtime),
        attention="sdpa",
        trust_remote_code=runtime.trust_remote_code,
    )
    if not is_plain_head(model):
        raise Permanent(
            f"entropy cannot be computed under {type(model).__name__}, which rescales the logits of its output layer; "
            "give another model as the proxy"
        )
    vocabulary = model.get_output_embeddings().weight.shape[0]
    if config.top_k > vocabulary:
        raise Permanent(f"entropy.top_k={config.top_k} is more than the model's {vocabulary} tokens; lower it")
    return model


def _rows(job: EntropyJob, model: "PreTrainedModel", documents: Iterator[Encoded], counts: Run) -> Iterator[Row]:
    from tasks.entropy.passes import TOKENS_PER_PASS, score_documents

    for chunk in chunks(documents, CHUNK_TOKENS):
        started = time.perf_counter()
        scored = score_documents(model, chunk, job.config, TOKENS_PER_PASS[model.device.type])
        counts.note(scored, time.perf_counter() - started)
        for result in scored:
            document = result.document
            yield {
                "document_id": document.document_id,
                "split": document.split,
                "given_tokens": document.given_tokens,
                "tokens": document.tokens,
                "entropy": result.entropy,
                "log_prob": result.log_prob,
                "top_token": result.top_token,
                "context_start": result.context_start,
            }
    counts.check_any()


if __name__ == "__main__":
    offline()
    worker_main(EntropyJob, run)
