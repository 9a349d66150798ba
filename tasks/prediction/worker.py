"""The child process that predicts without reasoning: one forward pass a context, the likeliest token at positions."""

from collections.abc import Iterator, Sequence
from typing import Any

from tasks.engines.factory import UNUSED_BY_TRANSFORMERS, resolve_device, resolve_dtype
from tasks.parquet import Row, read_rows, write_parquet
from tasks.prediction.job import DirectJob
from tasks.prediction.schema import CONTEXTS, LIKELIEST
from tasks.training.process import absent, offline
from tasks.worker import Reporter, worker_main

TOKENS_PER_BATCH = {"cpu": 16_384, "cuda": 65_536}
"""Rows times padded length of one forward pass. Ours."""


def run(job: DirectJob, reporter: Reporter) -> dict[str, Any]:
    """Predict every position of every context; returns how many there were."""
    offline()
    with absent(*UNUSED_BY_TRANSFORMERS):
        import torch

        from tasks.prediction.direct import Likeliest
    if job.runtime.num_threads:
        torch.set_num_threads(job.runtime.num_threads)
    device = resolve_device(job.runtime)
    model = Likeliest(
        job.model,
        device=device,
        dtype=resolve_dtype(job.runtime, device),
        trust_remote_code=job.runtime.trust_remote_code,
    )
    contexts = list(read_rows(job.contexts, schema=CONTEXTS))
    total = sum(len(row["positions"]) for row in contexts)

    def predicted() -> Iterator[Row]:
        done = 0
        for batch in batches(contexts, TOKENS_PER_BATCH[device]):
            wanted = [[position - row["start"] for position in row["positions"]] for row in batch]
            for row, tokens in zip(batch, model.after([row["tokens"] for row in batch], wanted), strict=True):
                for position, token in zip(row["positions"], tokens, strict=True):
                    yield {"document_id": row["document_id"], "position": position, "token": token}
                done += len(tokens)
            reporter.progress(done, total, "positions")

    return {"positions": write_parquet(predicted(), job.out, LIKELIEST)}


def batches(contexts: Sequence[Row], tokens_per_batch: int) -> Iterator[list[Row]]:
    """Contexts of like length together, longest first, so that too large a batch fails at once."""
    ordered = sorted(contexts, key=lambda row: (-len(row["tokens"]), row["document_id"], row["start"]))
    start = 0
    while start < len(ordered):
        size = max(1, tokens_per_batch // max(1, len(ordered[start]["tokens"])))
        yield ordered[start : start + size]
        start += size


if __name__ == "__main__":
    worker_main(DirectJob, run)
