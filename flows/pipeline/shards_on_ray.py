"""Shard tasks on the nodes of a Ray cluster; imported only where one is asked for.

A node needs the same installation, the same store and a Prefect server that it reaches. Ray runs a shard whose node
died again on another one, at most three times; what the dead one had flushed is in the pool, and its lease is taken
over as any dead holder's.
"""

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import ray
from prefect import flow
from prefect.futures import wait
from prefect.logging import get_run_logger
from prefect.settings import PREFECT_API_URL
from prefect_ray import RayTaskRunner
from prefect_ray.context import remote_options
from prefect_ray.task_runners import PrefectRayFuture

from tasks.errors import Permanent
from tasks.shared.sampling.task import Shards, run_shard
from tasks.spine.stage.context import run_context
from tasks.spine.stage.launch import check_stop
from tasks.spine.store.runtime import Runtime
from tasks.spine.store.settings import Settings

POLL_S = 0.5
HANDED_OVER = ("MIDTRAIN_S3_PATIENCE_S", "PREFECT_LOGGING_EXTRA_LOGGERS", "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW")
"""Variables that a node takes from the flow's process as they are. Secrets come from each node's own environment."""


class Runner(RayTaskRunner[Any]):
    """Prefect's task runner on Ray, without Ray's hand on SIGTERM: that ended a cancelled run by an abort."""

    def __enter__(self) -> Self:
        former = signal.getsignal(signal.SIGTERM)
        entered = super().__enter__()
        if signal.getsignal(signal.SIGTERM) is not former:
            signal.signal(signal.SIGTERM, former)
        return entered


_connected = threading.Lock()


def run_on_ray(shards: Shards) -> int:
    """Run the shard tasks on the cluster that `runtime` names; returns the number of new samples.

    One call at a time: a process has one connection, which whoever made it ends. Arms that run at the same time lose
    nothing by it, since each call spreads over the whole cluster.
    """
    while not _connected.acquire(timeout=POLL_S):
        check_stop()
    try:
        return run_shards.with_options(task_runner=Runner(address=shards.runtime.ray_address))(shards)
    finally:
        _connected.release()


@flow(
    name="shards",
    flow_run_name="{shards.stage.name}-shards",
    persist_result=False,
    validate_parameters=False,
)
def run_shards(shards: Shards) -> int:
    """Run the shard tasks on the cluster of the flow's task runner; returns the number of new samples.

    Raises:
        Permanent, RuntimeError: some shards failed, which it names; the others were let run to their end.
    """
    cluster = ray.cluster_resources()
    needs = node_needs(shards.runtime, cluster)
    shards = replace(shards, count=shards.runtime.num_shards or engines_of(cluster, needs))
    announce(shards, needs)
    with remote_options(**needs, runtime_env={"env_vars": node_environment(run_context().settings)}):
        running = [run_shard.submit(shards, index) for index in range(shards.count)]
    wait_for_all(running)
    outcomes = [future.state.result(raise_on_failure=False) for future in running]
    errors = {index: outcome for index, outcome in enumerate(outcomes) if isinstance(outcome, BaseException)}
    if errors:
        names, first = ", ".join(f"{shards.shard.name}-{index}" for index in errors), next(iter(errors.values()))
        message = (
            f"{len(errors)} of {len(running)} shards failed ({names}); the samples of the others are kept: {first}"
        )
        raise (Permanent if isinstance(first, Permanent | ValueError) else RuntimeError)(message) from first
    return sum(outcomes)


def wait_for_all(shards: Sequence[PrefectRayFuture[int]]) -> None:
    """Return when every shard has ended, whichever way.

    A cancel must find this process asleep: raised inside Ray's own blocking wait, it becomes an error of the shard.
    """
    running = [shard.wrapped_future for shard in shards]
    while running:
        check_stop()
        time.sleep(POLL_S)
        _, running = ray.wait(running, num_returns=len(running), timeout=0)
    wait(shards)


def node_needs(runtime: Runtime, cluster: Mapping[str, float]) -> dict[str, Any]:
    """Ray's options for one shard: an engine's GPUs where the cluster has any, and the CPU threads of its worker."""
    on_gpu = runtime.device == "cuda" or (runtime.device == "auto" and "GPU" in cluster)
    return {
        "num_cpus": max(1, runtime.num_threads),
        "num_gpus": runtime.tensor_parallel_size if on_gpu and runtime.engine != "openai" else 0,
        "scheduling_strategy": "SPREAD",
    }


def engines_of(cluster: Mapping[str, float], needs: Mapping[str, Any]) -> int:
    """Engines that the cluster's GPUs hold at the same time; one where a shard takes none."""
    return max(1, int(cluster["GPU"]) // needs["num_gpus"]) if needs["num_gpus"] and "GPU" in cluster else 1


def announce(shards: Shards, needs: Mapping[str, Any]) -> None:
    """Log how shards fit the nodes; where none is large enough, Ray waits for one that joins, and says nothing."""
    each = {"CPU": needs["num_cpus"], "GPU": needs["num_gpus"]}
    nodes = [{name: node["Resources"].get(name, 0) for name in each} for node in ray.nodes() if node["Alive"]]
    logger = get_run_logger()
    logger.info("%d shards of %s each for the Ray nodes %s", shards.count, each, nodes)
    if not any(all(node[name] >= count for name, count in each.items()) for node in nodes):
        logger.warning(
            "no Ray node is large enough: the shards wait for one to join. GPUs of a shard are "
            "runtime.tensor_parallel_size (none with runtime.device=cpu), its CPUs runtime.num_threads"
        )


def node_environment(settings: Settings) -> dict[str, str]:
    """Places that a node takes from this process, absolute, because a node has a working directory of its own.

    Raises:
        ValueError: runs are reported to no server that another process could reach.
    """
    api, store = PREFECT_API_URL.value(), settings.store_uri
    if not api:
        raise ValueError("runtime.ray_address needs a Prefect server that the Ray nodes reach; set PREFECT_API_URL")
    return {
        "MIDTRAIN_HOME": str(settings.root),
        "MIDTRAIN_STORE": store if "://" in store else str(Path(store).resolve()),
        "PREFECT_API_URL": api,
        **{name: os.environ[name] for name in HANDED_OVER if name in os.environ},
    }
