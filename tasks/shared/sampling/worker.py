"""The child process that owns an engine: generates what the pool lacks and writes it batch by batch."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from tasks.shared.engines.factory import make_engine
from tasks.shared.engines.protocol import Completion, Engine, Request
from tasks.shared.sampling.pool import Pool
from tasks.shared.sampling.schema import SampleSetJob, SamplingJob
from tasks.shared.tables.parquet import Row, read_rows
from tasks.spine.stage.imports import offline
from tasks.spine.stage.worker import Reporter, worker_main
from tasks.spine.store.fingerprint import digest_text, stable_seed

WINDOW_REQUESTS = 50_000
"""Requests held in memory and handed to the engine at once."""
REPORT_EVERY_S = 1.0


@dataclass
class SamplingTally:
    """Counts of a run, and when they were last reported."""

    total: int
    reporter: Reporter
    started: float = field(default_factory=time.monotonic)
    reported: float = 0.0
    done: int = 0
    tokens: int = 0
    truncated: int = 0

    def add(self, completion: Completion) -> None:
        """Count a completion; progress is reported about once a second."""
        self.done += 1
        self.tokens += completion.completion_tokens
        self.truncated += completion.finish_reason == "length"
        if time.monotonic() - self.reported >= REPORT_EVERY_S or self.done == self.total:
            self.reported = time.monotonic()
            self.reporter.progress(self.done, self.total, "samples", **self.values())

    def values(self) -> dict[str, float]:
        """Throughput, truncated share and mean length so far."""
        return {
            "tokens_per_s": self.tokens / max(time.monotonic() - self.started, 1e-9),
            "truncated_share": self.truncated / max(self.done, 1),
            "mean_tokens": self.tokens / max(self.done, 1),
        }


class _Batch:
    """Completions that wait to be written: at most `max_rows` of them, for at most `max_s` seconds."""

    def __init__(self, pool: Pool, engine: str, max_rows: int, max_s: float) -> None:
        self._pool, self._engine, self._max_rows, self._max_s = pool, engine, max_rows, max_s
        self._rows: list[Row] = []
        self._since = time.monotonic()

    def add(self, completion: Completion) -> None:
        self._rows.append(
            {
                "key": completion.key,
                "completion": completion.text,
                "finish_reason": completion.finish_reason,
                "prompt_tokens": completion.prompt_tokens,
                "completion_tokens": completion.completion_tokens,
                "engine": self._engine,
            }
        )
        if len(self._rows) >= self._max_rows or time.monotonic() - self._since >= self._max_s:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._pool.write(self._rows)
        self._rows, self._since = [], time.monotonic()


def run(job: SamplingJob, reporter: Reporter) -> dict[str, Any]:
    """Generate every wanted sample that its pool lacks; returns counts, throughput and the engine's name."""
    offline()
    total, seed = _count(job)
    reporter.progress(0, total, "samples")
    if not total:
        return {"generated": 0}
    engine = make_engine(job.model, job.runtime, job.form, seed=seed)
    tally = SamplingTally(total, reporter)
    try:
        for sample_set in job.sets:
            fill(sample_set, engine, tally, job)
    finally:
        engine.close()
    return {"generated": tally.done, "engine": engine.name, "tokens": tally.tokens, **tally.values()}


def fill(sample_set: SampleSetJob, engine: Engine, tally: SamplingTally, job: SamplingJob) -> None:
    """One sample set; whatever ends it, completions that are there are written."""
    batch = _Batch(Pool(sample_set.pool), engine.name, job.runtime.flush_rows, job.flush_s)
    requests = missing_requests(sample_set)
    try:
        while window := list(itertools.islice(requests, WINDOW_REQUESTS)):
            for completion in engine.stream(window, sample_set.sampling):
                batch.add(completion)
                tally.add(completion)
    finally:
        batch.flush()


def missing_requests(sample_set: SampleSetJob) -> Iterator[Request]:
    """Requests for the wanted samples that the pool lacks, each once; samples of one prompt share its string."""
    held = Pool(sample_set.pool).scan().batch_of
    previous = ""
    for row in read_rows(sample_set.wanted, ["key", "prompt", "seed"]):
        if row["key"] in held:
            continue
        held[row["key"]] = ""
        previous = previous if previous == row["prompt"] else row["prompt"]
        yield Request(key=row["key"], prompt=previous, seed=row["seed"])


def _count(job: SamplingJob) -> tuple[int, int]:
    """Number of missing samples, and a seed that no other set of missing samples has."""
    total, digest = 0, ""
    for request in itertools.chain.from_iterable(map(missing_requests, job.sets)):
        total += 1
        digest = digest_text(digest + request.key)
    return total, stable_seed(digest)


if __name__ == "__main__":
    worker_main(SamplingJob, run)
