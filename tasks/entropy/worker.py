"""The child process that computes entropies: reads row groups of texts, writes a table for each, in bounded memory."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.entropy.config import CHUNK_TOKENS, EntropyConfig, EntropyJob
from tasks.entropy.encoding import Encoded, Encoder, TextUnit, chunks, read_encoded, units_of
from tasks.entropy.schema import ENTROPY, GROUP, ORDER
from tasks.errors import Permanent
from tasks.shared.engines.factory import resolve_device
from tasks.shared.engines.tokens import context_length, load_tokenizer
from tasks.shared.sources.errors import Reject
from tasks.shared.sources.rejects import write_rejects
from tasks.shared.tables.parquet import Row, write_parquet
from tasks.spine.stage.imports import UNUSED_BY_TRANSFORMERS, lean_imports, offline
from tasks.spine.stage.worker import Reporter, worker_main
from tasks.spine.store.runtime import Runtime

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from tasks.entropy.passes import Scored


@dataclass
class _Progress:
    """Documents on the way through the job's part, and how fast the model reads them."""

    done: int
    total: int
    reporter: Reporter
    positions: int = 0
    seconds: float = 0.0
    rejects: list[Reject] = field(default_factory=list)
    """Those of the unit that is being read."""

    def usable(self, documents: Iterator[Encoded | Reject]) -> Iterator[Encoded]:
        """The documents that can be used; the others are noted."""
        for document in documents:
            if isinstance(document, Reject):
                self.rejects.append(document)
                self.done += 1
            else:
                yield document

    def note(self, scored: "list[Scored]", seconds: float) -> None:
        """Count one chunk that took the model `seconds`, and report."""
        self.done += len(scored)
        self.positions += sum(len(result.document.tokens) - 1 for result in scored)
        self.seconds += seconds
        self.reporter.progress(self.done, self.total, "documents", **self.speed())

    def speed(self) -> dict[str, float]:
        """Positions per second of the model's time."""
        return {"positions_per_s": self.positions / max(self.seconds, 1e-9)}


def run(job: EntropyJob, reporter: Reporter) -> dict[str, Any]:
    """Write the tables of each unit of the job's part that has none yet; returns the model's speed where it was used.

    Raises:
        Permanent: settings that the model does not allow.
    """
    config = job.config
    context = context_length(job.model, trust_remote_code=job.runtime.trust_remote_code)
    if context is not None and config.context_tokens > context:
        raise Permanent(
            f"entropy.context_tokens={config.context_tokens} is more than the model's context of {context} tokens; "
            f"set it to {context} or less (and entropy.overlap_tokens below it)"
        )
    own = [unit for unit in units_of(job.texts) if job.part.holds(unit.number)]
    waiting = [unit for unit in own if not unit.table(job.units).exists()]
    total = sum(unit.rows for unit in own)
    progress = _Progress(total - sum(unit.rows for unit in waiting), total, reporter)
    reporter.progress(progress.done, total, "documents")
    if not waiting:
        return {}
    encoder = Encoder(load_tokenizer(job.model, trust_remote_code=job.runtime.trust_remote_code), config)
    model = open_model(job.model, config, job.runtime)
    for unit in waiting:
        rows = _rows(job, unit, encoder, model, progress)
        write_parquet(rows, unit.table(job.units), ENTROPY, sorted_by=ORDER, weight=GROUP)
    reporter.progress(progress.done, total, "documents", **progress.speed())
    return progress.speed()


def open_model(folder: Path, config: EntropyConfig, runtime: Runtime) -> "PreTrainedModel":
    """The model of a folder, on its device, in the precision of the settings.

    Raises:
        Permanent: its logits are more than its output layer's, or it has fewer tokens than `top_k`.
    """
    with lean_imports(*UNUSED_BY_TRANSFORMERS):
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


def _rows(
    job: EntropyJob, unit: TextUnit, encoder: Encoder, model: "PreTrainedModel", progress: _Progress
) -> Iterator[Row]:
    """The rows of a unit's table. Its rejects are written before the last of them: a table that exists is all done."""
    from tasks.entropy.passes import TOKENS_PER_PASS, score_documents

    progress.rejects = []
    documents = progress.usable(read_encoded(job.texts, unit, encoder))
    for chunk in chunks(documents, CHUNK_TOKENS):
        started = time.perf_counter()
        scored = score_documents(model, chunk, job.config, TOKENS_PER_PASS[model.device.type])
        progress.note(scored, time.perf_counter() - started)
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
    write_rejects(progress.rejects, unit.rejects(job.units))


if __name__ == "__main__":
    offline()
    worker_main(EntropyJob, run)
