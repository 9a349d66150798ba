"""The sampling facility of all stages: say what is wanted, get every sample of it, from the pool or from an engine.

    wanted = {"render": ..., "form": renderer.form, "samplings": (sampling,), "num_samples": 16, "seed": 0}
    samples = fill(build, Wanted(sources={"dev": questions}, **wanted))
    for row in samples.rows("dev"): ...

The same pool serves all stages; a worker process starts only when something is missing.
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from tasks.shared.engines.protocol import Sampling
from tasks.shared.sampling.pool import Pool
from tasks.shared.sampling.schema import RENDERED, SAMPLES, WANTED, MoreSets, SampleSetJob, SamplingJob
from tasks.shared.sampling.wanted import Prompt, Wanted, pool_name, wanted_rows
from tasks.shared.tables.parquet import Row, count_rows, read_rows, write_parquet
from tasks.spine.stage.gpus import WHOLE, Part
from tasks.spine.stage.stage import Build
from tasks.spine.store.manifest import POOLS

log = logging.getLogger(__name__)

WORKER = "tasks.shared.sampling.worker"
MODEL = "model"
"""Role of the parent that answers."""


@dataclass(frozen=True)
class SampleSet:
    """The samples of rendered prompts under one sampling."""

    prompts: Path
    """Parquet file of schema `RENDERED`."""
    pool: str
    model_digest: str
    sampling: Sampling
    num_samples: int
    seed: int
    first_sample: int = 0
    """Samples of each prompt that are left out, the first ones."""

    @property
    def count(self) -> int:
        """Number of samples."""
        return count_rows(self.prompts) * (self.num_samples - self.first_sample)

    def rendered(self) -> Iterator[Prompt]:
        """The prompts, in order."""
        return (Prompt(**row) for row in read_rows(self.prompts))

    def wanted(self) -> Iterator[Row]:
        """Rows of schema `WANTED`, in order."""
        return wanted_rows(
            self.rendered(),
            sampling=self.sampling,
            model_digest=self.model_digest,
            num_samples=self.num_samples,
            seed=self.seed,
            first_sample=self.first_sample,
        )

    def missing(self) -> Iterator[Row]:
        """Those rows that the pool lacks."""
        held = Pool(self.pool).scan().batch_of
        return (row for row in self.wanted() if row["key"] not in held)

    def rows(self) -> Iterator[Row]:
        """Rows of schema `SAMPLES`, exactly those wanted and in that order, with bounded memory.

        Raises:
            SamplesMissing: the pool lacks one; names its question, heuristic and index.
            PoolDamaged: a batch became unreadable; a retry generates its rows anew.
        """
        pool = Pool(self.pool)
        for row in pool.ordered(self.wanted, pool.scan(), self.prompts.parent):
            yield {name: row[name] for name in SAMPLES.names}


@dataclass(frozen=True)
class Samples:
    """All samples that were wanted, in the pool."""

    sets: Mapping[str, tuple[SampleSet, ...]]
    """Sample sets under the name of their source, one for each sampling."""
    generated: int
    """Samples that the pool lacked before, of these and the later ones."""
    later: tuple["Samples", ...] = ()
    """What `Wanted.then` wanted after these, in turn."""

    @property
    def count(self) -> int:
        """Number of samples of all sets."""
        return sum(item.count for item in chain.from_iterable(self.sets.values()))

    def rows(self, name: str) -> Iterator[Row]:
        """The samples of one set, sampling by sampling; see `SampleSet.rows`."""
        return chain.from_iterable(item.rows() for item in self.sets[name])

    def prompts(self, name: str) -> Iterator[Prompt]:
        """The prompts of one set, as they were rendered."""
        return self.sets[name][0].rendered()


def fill(build: Build, wanted: Wanted[Any], part: Part = WHOLE) -> Samples:
    """Render the prompts once, and have a worker make what the pool lacks of their samples, in one engine start."""
    filled: list[Samples] = []

    def lacking(wanted: Wanted[Any], part: Part) -> list[SampleSetJob]:
        samples = Samples({name: _rendered(build, wanted, name, part) for name in wanted.sources}, 0)
        filled.append(samples)
        return _missing(build, samples, len(filled))

    def next_sets() -> list[SampleSetJob]:
        """Sets of the next samples that the pool does not have all of; none at the end."""
        nonlocal ended
        while not ended:
            more = wanted.then and wanted.then(build, filled[-1])
            ended = more is None
            if more is not None and (jobs := lacking(more, WHOLE)):
                return jobs
        return []

    ended, generated = False, 0
    jobs = lacking(wanted, part) or next_sets()
    while jobs:
        job = SamplingJob(
            model=build.path(MODEL),
            sets=tuple(jobs),
            asks_for_more=wanted.then is not None,
            runtime=build.runtime,
            form=wanted.form,
        )
        result = build.worker(
            WORKER,
            job,
            name="generation",
            gpus=build.runtime.tensor_parallel_size,
            answer=lambda: MoreSets(sets=tuple(next_sets())).model_dump(mode="json"),
        )
        generated += int(result["generated"])
        # Another run may have made all of a set meanwhile: then nobody has asked.
        jobs = next_sets()
    return replace(filled[0], generated=generated, later=tuple(filled[1:]))


def _missing(build: Build, samples: Samples, turn: int) -> list[SampleSetJob]:
    """Write down what the pool lacks of each set."""
    jobs, missing = [], 0
    for number, item in enumerate(chain.from_iterable(samples.sets.values())):
        path = build.work / "missing" / f"{turn}-{number}.parquet"
        if count := write_parquet(item.missing(), path, WANTED):
            jobs.append(SampleSetJob(wanted=path, pool=item.pool, sampling=item.sampling))
            missing += count
    log.info("%d of %d samples are in the pool, %d to generate", samples.count - missing, samples.count, missing)
    return jobs


def _rendered(build: Build, wanted: Wanted[Any], name: str, part: Part) -> tuple[SampleSet, ...]:
    """Write the prompts of one set, which all its samplings share."""
    path, digest = build.work / "prompts" / f"{name}.parquet", build.parents[MODEL].digest
    write_parquet(map(asdict, wanted.prompts(name, part)), path, RENDERED)
    pools = [f"{POOLS}/{pool_name(digest, sampling)}" for sampling in wanted.samplings]
    build.record(pools=pools)
    return tuple(
        SampleSet(
            prompts=path,
            pool=f"{build.store.files.uri.rstrip('/')}/{pool}",
            model_digest=digest,
            sampling=sampling,
            num_samples=1 if sampling.greedy else wanted.num_samples,
            seed=wanted.seed,
            first_sample=wanted.first_sample,
        )
        for sampling, pool in zip(wanted.samplings, pools, strict=True)
    )
