"""Shards: parts of a stage's samples, put into the pool before the stage reads them, each by a Prefect task.

They put samples into the pool and nothing else, so their number can change between runs, and one that failed is the
only one that has work left.
"""

import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from prefect import task
from prefect.cache_policies import NO_CACHE
from prefect.logging import get_run_logger

from tasks.shared.sampling.sampler import fill
from tasks.shared.sampling.wanted import Wanted
from tasks.spine.stage.call import Stage, StageCall
from tasks.spine.stage.context import run_context
from tasks.spine.stage.gpus import Part
from tasks.spine.stage.launch import OnLine, check_stop
from tasks.spine.stage.progress import PrefectWatcher
from tasks.spine.stage.stage import LEASE_POLL_S, Build, Watcher
from tasks.spine.stage.task import is_transient
from tasks.spine.store.manifest import POOLS
from tasks.spine.store.ref import SHORT, ArtifactRef
from tasks.spine.store.runtime import Runtime


@dataclass(frozen=True)
class Shards:
    """A stage call whose samples are made by `count` shards."""

    stage: Stage
    wanted: Callable[[Build, Any], Wanted[Any]]
    """What the stage wants, from a build of it and its configuration."""
    config: Any
    runtime: Runtime
    parents: dict[str, ArtifactRef]
    count: int

    @property
    def shard(self) -> Stage:
        """One shard, for people and for its lease; it publishes nothing."""
        return Stage(f"{self.stage.name}-shard", version=1, kind=POOLS)

    def call(self, part: Part) -> StageCall:
        """The work of one shard as a stage call, whose key names its lease and its folder of unfinished work."""
        identity = {"config": self.config, "index": part.index, "of": part.of}
        return StageCall(self.shard, fill_part, identity, self.runtime, self.parents)


@task(
    name="shard",
    task_run_name="{shards.shard.name}-{index}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=is_transient,
)
def run_shard(shards: Shards, index: int, on_progress: OnLine | None = None) -> int:
    """Have a worker make what the pool lacks of one shard's samples; returns the number of new ones.

    Args:
        on_progress: told of each progress line, besides the shard's own page and log.
    """
    label = f"{index + 1} of {shards.count}"
    return fill_part(shards, index, PrefectWatcher(shards.shard, None, get_run_logger(), label, on_progress))


def fill_part(shards: Shards, index: int, watcher: Watcher) -> int:
    """The work of one shard. A lease keeps two runs, on whatever hosts, from making the same part at once."""
    context, part = run_context(), Part(index, shards.count)
    call = shards.call(part)
    lease = context.store.lease(call.stage.kind, call.key, call.runtime.lease_timeout_s)
    while not lease.try_acquire():
        check_stop()
        time.sleep(LEASE_POLL_S)
    work = context.settings.work / f"{call.stage.name}-{call.key[:SHORT]}"
    build = Build(call, context.store, work, watcher)
    with lease.held():
        generated = fill(build, shards.wanted(build, shards.config), part).generated
    shutil.rmtree(work, ignore_errors=True)
    return generated
