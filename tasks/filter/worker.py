"""The child process that scores adherence, in chunks that survive a kill."""

import itertools
from collections.abc import Iterator
from typing import Any

from tasks.filter.config import ScoringJob
from tasks.filter.protocol import AdherenceScore, Scorer, ScoreRequest
from tasks.filter.schema import SCORES
from tasks.shared.engines.factory import UNUSED_BY_TRANSFORMERS, resolve_device, resolve_dtype
from tasks.shared.tables.parquet import count_rows, read_rows, write_parquet
from tasks.spine.stage.imports import hide_packages, offline
from tasks.spine.stage.worker import Reporter, worker_main
from tasks.spine.store.fingerprint import digest_text

CHUNK_REQUESTS = 1_024
"""Completions scored before they are written: the most that a kill can lose."""
TOKENS_PER_BATCH = {"cpu": 16_384, "cuda": 65_536}
"""Rows times padded length of one forward pass. Ours."""


def run(job: ScoringJob, reporter: Reporter) -> dict[str, Any]:
    """Score every request that has no score yet; returns how many were scored."""
    offline()
    total = count_rows(job.requests)
    done = sum(count_rows(file) for file in sorted(job.scores.glob("*.parquet")))
    reporter.progress(done, total, "solutions scored")
    chunks = _unscored(job)
    first = next(chunks, None)
    if first is None:
        return {"scored": 0}
    scorer = _scorer(job)
    scored = 0
    for chunk in itertools.chain([first], chunks):
        scores = scorer.score(chunk)
        name = digest_text("\n".join(item.key for item in chunk))[:32]
        write_parquet(map(_row, scores), job.scores / f"{name}.parquet", SCORES)
        scored += len(chunk)
        reporter.progress(done + scored, total, "solutions scored")
    return {"scored": scored}


def _scorer(job: ScoringJob) -> Scorer:
    with hide_packages(*UNUSED_BY_TRANSFORMERS):
        import torch

        from tasks.filter.scorer import LikelihoodRatio
    if job.runtime.num_threads:
        torch.set_num_threads(job.runtime.num_threads)
    device = resolve_device(job.runtime)
    return LikelihoodRatio(
        job.model,
        device=device,
        dtype=resolve_dtype(job.runtime, device),
        tokens_per_batch=TOKENS_PER_BATCH[device],
        trust_remote_code=job.runtime.trust_remote_code,
        adds_prefix=job.form.adds_prefix,
    )


def _unscored(job: ScoringJob) -> Iterator[list[ScoreRequest]]:
    scored = {row["key"] for file in job.scores.glob("*.parquet") for row in read_rows(file, ["key"])}
    waiting = (ScoreRequest(**row) for row in read_rows(job.requests) if row["key"] not in scored)
    while chunk := list(itertools.islice(waiting, CHUNK_REQUESTS)):
        yield chunk


def _row(score: AdherenceScore) -> dict[str, Any]:
    return {"key": score.key, "adherence": score.adherence, "tokens": score.tokens}


if __name__ == "__main__":
    worker_main(ScoringJob, run)
