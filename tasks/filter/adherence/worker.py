"""The child process that scores adherence, in chunks that survive a kill."""

import itertools
from collections.abc import Iterator, Sequence
from typing import Any

from tasks.filter.adherence.config import CHUNK_REQUESTS, LikelihoodRatioScorer, RewardModelScorer, ScoringJob
from tasks.filter.adherence.protocol import AdherenceScore, Scorer, ScoreRequest
from tasks.filter.adherence.schema import SCORES
from tasks.shared.engines.factory import resolve_device, resolve_dtype
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.spine.stage.imports import UNUSED_BY_TRANSFORMERS, lean_imports, offline
from tasks.spine.stage.worker import Reporter, worker_main
from tasks.spine.store.fingerprint import digest_text

TOKENS_PER_BATCH = {"cpu": 16_384, "cuda": 65_536}
"""Rows times padded length of one forward pass. Ours."""


def run(job: ScoringJob, reporter: Reporter) -> dict[str, Any]:
    """Score every request of the job's part that has no score yet; returns how many were scored."""
    offline()
    scored_before = {row["key"] for file in job.scores.glob("*.parquet") for row in read_rows(file, ["key"])}
    keys = [row["key"] for row in _requests(job, ["key"])]
    total, done = len(keys), sum(key in scored_before for key in keys)
    reporter.progress(done, total, "solutions scored")
    waiting = (ScoreRequest(**row) for row in _requests(job) if row["key"] not in scored_before)
    if done == total:
        return {"scored": 0}
    scorer = _scorer(job)
    scored = 0
    while chunk := list(itertools.islice(waiting, CHUNK_REQUESTS)):
        scores = scorer.score(chunk)
        name = digest_text("\n".join(item.key for item in chunk))[:32]
        write_parquet(map(_row, scores), job.scores / f"{name}.parquet", SCORES)
        scored += len(chunk)
        reporter.progress(done + scored, total, "solutions scored")
    return {"scored": scored}


def _scorer(job: ScoringJob) -> Scorer:
    with lean_imports(*UNUSED_BY_TRANSFORMERS):
        import torch

        from tasks.filter.adherence.likelihood_ratio import LikelihoodRatio
        from tasks.filter.adherence.reward_model import RewardModel
    if job.runtime.num_threads:
        torch.set_num_threads(job.runtime.num_threads)
    device = resolve_device(job.runtime)
    options: dict[str, Any] = {
        "device": device,
        "dtype": resolve_dtype(job.runtime, device),
        "tokens_per_batch": TOKENS_PER_BATCH[device],
        "trust_remote_code": job.runtime.trust_remote_code,
    }
    if isinstance(job.scorer, RewardModelScorer):
        return RewardModel(job.scorer, job.model, **options)
    is_ratio = isinstance(job.scorer, LikelihoodRatioScorer)
    return LikelihoodRatio(job.model, adds_prefix=job.form.adds_prefix, is_ratio=is_ratio, **options)


def _requests(job: ScoringJob, columns: Sequence[str] | None = None) -> Iterator[Row]:
    """Rows of the job's part, chunk by chunk, so that those which share a prompt's start stay together."""
    for number, row in enumerate(read_rows(job.requests, columns)):
        if job.part.holds(number // CHUNK_REQUESTS):
            yield row


def _row(score: AdherenceScore) -> dict[str, Any]:
    return {"key": score.key, "adherence": score.adherence, "tokens": score.tokens}


if __name__ == "__main__":
    worker_main(ScoringJob, run)
