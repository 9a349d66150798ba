"""The child process that owns an engine: generates what the pool lacks and writes it batch by batch."""

import heapq
import itertools
import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from tasks.shared.engines.factory import make_engine
from tasks.shared.engines.protocol import Completion, Engine, Request
from tasks.shared.sampling.pool import Pool
from tasks.shared.sampling.schema import POOLED, REJECTED, MoreSets, SampleSetJob, SamplingJob
from tasks.shared.tables.parquet import Row, read_rows
from tasks.spine.stage.imports import offline
from tasks.spine.stage.worker import Reporter, worker_main

log = logging.getLogger(__name__)

WINDOW_REQUESTS = 50_000
"""Requests held in memory and handed to the engine at once."""
REPORT_EVERY_S = 1.0
LONGEST_PROMPTS = 64
"""Prompts of a set that an engine looks at before it starts. Ours."""


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
    rejected: int = 0

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
        self.rejected = 0
        self._rows: list[Row] = []
        self._since = time.monotonic()

    def add(self, completion: Completion) -> None:
        row = {
            "key": completion.key,
            "completion": completion.text,
            "finish_reason": completion.finish_reason,
            "prompt_tokens": completion.prompt_tokens,
            "completion_tokens": completion.completion_tokens,
            "engine": self._engine,
        }
        kept = storable(row)
        self.rejected += kept is not row
        self._rows.append(kept)
        if len(self._rows) >= self._max_rows or time.monotonic() - self._since >= self._max_s:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._pool.write(self._rows)
        self._rows, self._since = [], time.monotonic()


def storable(row: Row) -> Row:
    """The row of schema `POOLED` as it is, or where Arrow cannot hold it, as a rejected sample.

    Half of a surrogate pair is no Unicode; a count may be no number of 32 bits. What is wrong with one completion must
    not cost the batch that it is in, and is no reason to generate the same text again.
    """
    try:
        pa.RecordBatch.from_pylist([row], schema=POOLED)
    except (pa.ArrowException, UnicodeError, OverflowError, TypeError) as error:
        log.warning("sample %s is rejected: %s", row["key"], error)
        text = str(row["completion"]).encode("utf-8", "backslashreplace").decode()
        return {**row, "completion": text, "finish_reason": REJECTED, "prompt_tokens": 0, "completion_tokens": 0}
    return row


def run(job: SamplingJob, reporter: Reporter) -> dict[str, Any]:
    """Generate every wanted sample that its pool lacks; returns counts, throughput and the engine's name."""
    offline()
    total, longest = survey(job.sets)
    reporter.progress(0, total, "samples")
    if not total:
        return {"generated": 0}
    engine = make_engine(job.model, job.runtime, job.form, longest=longest, response_format=job.response_format)
    tally, sets = SamplingTally(total, reporter), job.sets
    try:
        while sets:
            for sample_set in sets:
                fill(sample_set, engine, tally, job)
            sets = MoreSets.model_validate(reporter.ask()).sets if job.asks_for_more else ()
            tally.total += survey(sets)[0]
    finally:
        engine.close()
    if tally.rejected:
        log.warning(
            "%d of %d completions cannot be stored as text and are marked as rejected", tally.rejected, tally.done
        )
    return {"generated": tally.done, "engine": engine.name, "tokens": tally.tokens, **tally.values()}


def survey(sets: Sequence[SampleSetJob]) -> tuple[int, list[tuple[str, int]]]:
    """How many samples are missing, and the prompts with the most characters of each set, with what may follow them.

    The longest in tokens is nearly always among them; where it is not, vLLM starts once more.
    """
    total, longest = 0, []
    for sample_set in sets:
        prompts: set[str] = set()
        for request in missing_requests(sample_set):
            total += 1
            prompts.add(request.prompt)
            if len(prompts) > 2 * LONGEST_PROMPTS:
                prompts = set(heapq.nlargest(LONGEST_PROMPTS, prompts, key=len))
        longest += [(prompt, sample_set.sampling.max_new_tokens) for prompt in prompts]
    return total, longest


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
        tally.rejected += batch.rejected


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


if __name__ == "__main__":
    worker_main(SamplingJob, run)
