"""The child process that computes entropies: reads texts, writes one table, in bounded memory."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tasks.entropy.config import EntropyConfig, EntropyJob
from tasks.entropy.encoding import Encoded, Encoder, chunks, read_encoded
from tasks.entropy.schema import ENTROPY, ENTROPY_FILE, GROUP
from tasks.entropy.tally import EntropyTally
from tasks.errors import Permanent
from tasks.shared.engines.factory import resolve_device
from tasks.shared.engines.tokens import context_length, load_tokenizer
from tasks.shared.sources.rejects import REJECTS_FILE, write_rejects
from tasks.shared.tables.parquet import Row, write_parquet
from tasks.spine.stage.imports import UNUSED_BY_TRANSFORMERS, lean_imports, offline
from tasks.spine.stage.worker import Reporter, worker_main
from tasks.spine.store.runtime import Runtime

if TYPE_CHECKING:
    from transformers import PreTrainedModel

CHUNK_TOKENS = 1 << 18
"""Tokens whose windows are sorted by length together, and held in memory (ours)."""


def run(job: EntropyJob, reporter: Reporter) -> dict[str, Any]:
    """Write entropy.parquet and rejects.parquet; returns the ledger and the summary.

    Raises:
        Permanent: settings that the model does not allow, or no document that can be used.
    """
    config, started = job.config, time.perf_counter()
    context = context_length(job.model, trust_remote_code=job.runtime.trust_remote_code)
    if context is not None and config.context_tokens > context:
        raise Permanent(
            f"entropy.context_tokens={config.context_tokens} is more than the model's context of {context} tokens; "
            f"set it to {context} or less (and entropy.overlap_tokens below it)"
        )
    encoder = Encoder(load_tokenizer(job.model, trust_remote_code=job.runtime.trust_remote_code), config)
    model = open_model(job.model, config, job.runtime)
    tally = EntropyTally(job, reporter, model.get_output_embeddings().weight.shape[0])
    documents = tally.usable(read_encoded(job.texts, encoder))
    table = job.out / ENTROPY_FILE
    rows = _rows(job, model, documents, tally)
    write_parquet(rows, table, ENTROPY, sorted_by=("split", "document_id"), weight=GROUP)
    write_rejects(tally.rejects, job.out / REJECTS_FILE)
    return tally.result(time.perf_counter() - started)


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
    job: EntropyJob, model: "PreTrainedModel", documents: Iterator[Encoded], tally: EntropyTally
) -> Iterator[Row]:
    from tasks.entropy.passes import TOKENS_PER_PASS, score_documents

    for chunk in chunks(documents, CHUNK_TOKENS):
        started = time.perf_counter()
        scored = score_documents(model, chunk, job.config, TOKENS_PER_PASS[model.device.type])
        tally.note(scored, time.perf_counter() - started)
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
    tally.check_any()


if __name__ == "__main__":
    offline()
    worker_main(EntropyJob, run)
