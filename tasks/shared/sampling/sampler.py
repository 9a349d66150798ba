"""The sampling facility of all stages: ask for samples, get every one of them, from the pool or from an engine.

    wanted = want(build, "plain", prompts, sampling=..., num_samples=16, seed=0)
    for row in sample(build, wanted): ...

The same pool serves generation and evaluation; a worker process starts only when something is missing.
"""

import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from tasks.shared.engines.protocol import Sampling
from tasks.shared.sampling.job import SampleSetJob, SamplingJob
from tasks.shared.sampling.pool import Pool
from tasks.shared.sampling.schema import SAMPLES, WANTED
from tasks.shared.sampling.wanted import Prompt, pool_name, wanted_rows
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.spine.stage.stage import Build
from tasks.spine.store.manifest import POOLS

log = logging.getLogger(__name__)

WORKER = "tasks.shared.sampling.worker"


@dataclass(frozen=True)
class SampleSet:
    """Samples that a stage wants of one model under one sampling, written down in a Parquet file."""

    wanted: Path
    pool: str
    sampling: Sampling
    num_rows: int


def want(
    build: Build,
    name: str,
    prompts: Iterable[Prompt],
    *,
    sampling: Sampling,
    num_samples: int = 1,
    seed: int = 0,
    model: str = "model",
) -> SampleSet:
    """Write down which samples are wanted; `name` is unique in the build, `model` is the role of the parent.

    The artifact's manifest names their pool. Memory does not grow with the number of prompts.
    """
    digest = build.parents[model].digest
    path = build.work / "wanted" / f"{name}.parquet"
    rows = wanted_rows(prompts, sampling=sampling, model_digest=digest, num_samples=num_samples, seed=seed)
    num_rows = write_parquet(rows, path, WANTED)
    pool = f"{POOLS}/{pool_name(digest, sampling)}"
    build.record(pools=[pool])
    return SampleSet(path, f"{build.store.files.uri.rstrip('/')}/{pool}", sampling, num_rows)


def generate_missing(
    build: Build, sets: Sequence[SampleSet], *, model: str = "model", as_messages: bool = False
) -> int:
    """Have a worker generate what the pools lack, in one engine start; returns the number of new samples."""
    missing = {sample_set: _count_missing(sample_set) for sample_set in sets}
    total = sum(missing.values())
    wanted = sum(sample_set.num_rows for sample_set in sets)
    log.info("%d of %d samples are in the pool, %d to generate", wanted - total, wanted, total)
    if not total:
        return 0
    jobs = [
        SampleSetJob(wanted=item.wanted, pool=item.pool, sampling=item.sampling)
        for item, count in missing.items()
        if count
    ]
    job = SamplingJob(model=build.path(model), sets=tuple(jobs), runtime=build.runtime, as_messages=as_messages)
    result = build.worker(WORKER, job, name="generation")
    return int(result["generated"])


def rows(sample_set: SampleSet) -> Iterator[Row]:
    """Rows of schema `SAMPLES`, exactly those wanted and in that order, with bounded memory.

    Raises:
        SamplesMissing: the pool lacks one; names its question, heuristic and index.
        PoolDamaged: a batch became unreadable; a retry generates its rows anew.
    """
    pool = Pool(sample_set.pool)
    asked = read_rows(sample_set.wanted, ["key", "question_id", "heuristic", "sample_index"])
    count = 0
    for row in pool.ordered(asked, pool.scan()):
        count += 1
        yield {name: row[name] for name in SAMPLES.names}
    if count != sample_set.num_rows:
        raise AssertionError(f"{count} samples came back where {sample_set.num_rows} were wanted")


def sample(build: Build, sample_set: SampleSet, *, model: str = "model") -> Iterator[Row]:
    """`generate_missing` for one set, then its `rows`."""
    generate_missing(build, [sample_set], model=model)
    yield from rows(sample_set)


def _count_missing(sample_set: SampleSet) -> int:
    held = Pool(sample_set.pool).scan().batch_of
    return sum(row["key"] not in held for row in read_rows(sample_set.wanted, ["key"]))
