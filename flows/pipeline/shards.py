"""The samples of a stage made by shards before the stage reads them: by workers here, or over a Ray cluster."""

from collections.abc import Callable
from typing import Any

from flows.pipeline.concurrent import each
from tasks.errors import Permanent
from tasks.shared.sampling.task import Shards, run_shard
from tasks.shared.sampling.wanted import Wanted
from tasks.spine.stage.call import Stage
from tasks.spine.stage.context import run_context
from tasks.spine.stage.gpus import shards_here, workers_at_once
from tasks.spine.stage.stage import Build
from tasks.spine.stage.threads import ProgressOfAll
from tasks.spine.store.fingerprint import fingerprint
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime


def fill_pool(
    stage: Stage,
    wanted: Callable[[Build, Any], Wanted[Any]],
    config: Any,
    runtime: Runtime,
    parents: dict[str, ArtifactRef],
    *,
    force: bool = False,
    label: str = "",
) -> None:
    """Have shards make what a stage wants, where there are several or Ray is asked for, and the stage has work to do.

    Without them the stage itself makes what it wants. Nothing happens in a plan, nor where the stage's artifact is in
    the store.

    Raises:
        Permanent: a Ray cluster is asked for, and the extra `ray` is not installed.
    """
    context = run_context()
    gpus = runtime.tensor_parallel_size
    count = 1 if runtime.engine == "openai" and not runtime.num_shards else shards_here(runtime, gpus)
    if context.visitor is not None or (count == 1 and not runtime.ray_address):
        return
    key = fingerprint(stage.name, stage.version, config, parents)
    if not force and context.store.find(stage.kind, key) is not None:
        return
    shards = Shards(stage, wanted, config, runtime, parents, count)
    if not runtime.ray_address:
        together = _progress(stage, key, label)
        each(lambda index: run_shard(shards, index, together.of(index)), range(count), workers_at_once(runtime, gpus))
        return
    try:
        from flows.pipeline.shards_on_ray import run_on_ray
    except ImportError as error:
        raise Permanent(
            f"runtime.ray_address={runtime.ray_address} needs Ray, which is not installed here ({error}); install the "
            "extra `ray` (pip install 'midtrain[ray]') here and on every node, or leave runtime.ray_address empty"
        ) from None
    run_on_ray(shards)


def _progress(stage: Stage, key: str, label: str) -> ProgressOfAll:
    """Takes the shards' progress and tells it as that of their stage."""
    course = run_context().course
    step = course.begin(key, stage.name, label) if course else None

    def tell(line: dict[str, Any]) -> None:
        if course and step:
            course.advance(step, line)

    return ProgressOfAll(tell)
