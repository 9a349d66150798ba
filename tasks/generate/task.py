"""Generation as Prefect tasks: the stage, and the shards that fill its pool beforehand."""

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.generate.config import GenerateConfig
from tasks.generate.heuristics import load_heuristics
from tasks.generate.plan import heuristic_prompts, with_first_logged
from tasks.questions.schema import QUESTIONS_FILE
from tasks.shared.prompts.render import Renderer
from tasks.shared.sampling.sampler import SampleSet, generate_missing, rows, want
from tasks.shared.sampling.schema import PROMPTS, PROMPTS_FILE, SAMPLES, SAMPLES_FILE
from tasks.shared.sampling.wanted import Prompt, plain_prompts
from tasks.shared.tables.parquet import Row, read_rows, write_parquet
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.context import run_context
from tasks.spine.stage.progress import PrefectWatcher
from tasks.spine.stage.stage import LEASE_POLL_S, Build
from tasks.spine.stage.task import is_transient, stage_task
from tasks.spine.store.ref import SHORT, ArtifactRef
from tasks.spine.store.runtime import Runtime

GENERATE = Stage("generate", version=1, kind="samples", pool="gpu")
SHARD = Stage("generate-shard", version=1, kind="pool")


def shards_have_work(config: GenerateConfig, runtime: Runtime, parents: dict[str, ArtifactRef], force: bool) -> bool:
    """Whether shard tasks are asked for, and their samples are not in the store already; never in a plan.

    Shards put samples into the pool and nothing else, so their number can change between runs, and one that failed is
    the only one that has work left.
    """
    context = run_context()
    if context.visitor is not None or (runtime.num_shards == 1 and not runtime.ray_address):
        return False
    call = StageCall(GENERATE, assemble.body, config, runtime, parents)
    return force or context.store.find(GENERATE.kind, call.key) is None


@task(
    name=SHARD.name,
    task_run_name="generate-shard-{index}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_transient,
)
def generate_shard(config: GenerateConfig, parents: dict[str, ArtifactRef], runtime: Runtime, index: int) -> int:
    """Generate what the pool lacks of every `num_shards`-th question; returns the number of new samples."""
    context = run_context()
    identity = {"config": config, "index": index, "of": runtime.num_shards}
    call = StageCall(SHARD, assemble.body, identity, runtime, parents)
    lease = context.store.lease(SHARD.kind, call.key, runtime.lease_timeout_s)
    while not lease.try_acquire():
        time.sleep(LEASE_POLL_S)
    work = context.settings.work / f"{SHARD.name}-{call.key[:SHORT]}"
    watcher = PrefectWatcher(SHARD, None, get_run_logger(), f"{index + 1} of {runtime.num_shards}")
    build = Build(call, context.store, work, watcher)
    with lease.held():
        generated = _fill(build, config, (index, runtime.num_shards))[1]
    shutil.rmtree(work, ignore_errors=True)
    return generated


@stage_task(GENERATE)
def assemble(build: Build, config: GenerateConfig) -> None:
    """All samples in order from the pool, which a worker fills first where it lacks some; and every prompt."""
    wanted, generated = _fill(build, config, (0, 1))
    tally = _Tally()
    count = write_parquet(tally.counted(rows(wanted)), build.out / SAMPLES_FILE, SAMPLES, sorted_by=["question_id"])
    prompts = write_parquet(_prompt_rows(build, config), build.out / PROMPTS_FILE, PROMPTS, sorted_by=["question_id"])
    truncated = sum(tally.truncated.values())
    build.record(
        rows={"samples": count, "prompts": prompts},
        ledger={"generated": count, "truncated": truncated, "complete": count - truncated},
        summary={
            "heuristics": tally.by_heuristic(),
            "generated_tokens": sum(tally.tokens.values()),
            "generated_now": generated,
            "from_pool": count - generated,
            "engines": sorted(tally.engines),
        },
    )


@dataclass
class _Tally:
    """Counts per heuristic."""

    samples: Counter[str] = field(default_factory=Counter)
    truncated: Counter[str] = field(default_factory=Counter)
    tokens: Counter[str] = field(default_factory=Counter)
    engines: set[str] = field(default_factory=set)

    def counted(self, samples: Iterable[Row]) -> Iterator[Row]:
        for row in samples:
            self.samples[row["heuristic"]] += 1
            self.truncated[row["heuristic"]] += row["finish_reason"] == "length"
            self.tokens[row["heuristic"]] += row["completion_tokens"]
            self.engines.add(row["engine"])
            yield row

    def by_heuristic(self) -> dict[str, Any]:
        return {
            name: {
                "samples": count,
                "truncated": self.truncated[name],
                "mean_tokens": round(self.tokens[name] / count, 1),
            }
            for name, count in sorted(self.samples.items())
        }


def _fill(build: Build, config: GenerateConfig, part: tuple[int, int]) -> tuple[SampleSet, int]:
    """Have the pool filled for one part of the questions; returns the wanted samples and how many are new."""
    renderer = Renderer.for_model(config.prompt, build.path("model"))
    heuristics = load_heuristics(config.heuristics)
    prompts = with_first_logged(heuristic_prompts(_questions(build, part), heuristics, renderer))
    wanted = want(
        build,
        "samples",
        prompts,
        sampling=config.sampling,
        num_samples=config.samples_per_heuristic,
        seed=config.seed,
    )
    return wanted, generate_missing(build, [wanted], as_messages=renderer.style == "message")


def _prompt_rows(build: Build, config: GenerateConfig) -> Iterator[Row]:
    renderer = Renderer.for_model(config.prompt, build.path("model"))
    heuristics = [heuristic for heuristic in load_heuristics(config.heuristics) if heuristic.name]
    for question in _questions(build, (0, 1)):
        prompts: list[Prompt] = [
            *plain_prompts([question], renderer),
            *heuristic_prompts([question], heuristics, renderer),
        ]
        for prompt in prompts:
            yield {"question_id": prompt.question_id, "heuristic": prompt.heuristic, "prompt": prompt.text}


def _questions(build: Build, part: tuple[int, int]) -> Iterator[tuple[str, str]]:
    index, count = part
    for number, row in enumerate(read_rows(build.path("questions") / QUESTIONS_FILE, ["id", "question"])):
        if number % count == index:
            yield row["id"], row["question"]
