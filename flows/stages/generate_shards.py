"""The shard tasks of generation: in turn in the flow's process, or over a Ray cluster."""

from tasks.errors import Permanent
from tasks.generate.config import GenerateConfig
from tasks.generate.task import generate_shard
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.runtime import Runtime


def fill_pool(config: GenerateConfig, runtime: Runtime, parents: dict[str, ArtifactRef]) -> None:
    """Run the shard tasks where `runtime` says.

    Raises:
        Permanent: a Ray cluster is asked for, and the extra `ray` is not installed.
    """
    if not runtime.ray_address:
        for index in range(runtime.num_shards):
            generate_shard(config, parents, runtime, index)
        return
    try:
        from flows.stages.generate_on_ray import Runner, generate_shards
    except ImportError as error:
        raise Permanent(
            f"runtime.ray_address={runtime.ray_address} needs Ray, which is not installed here ({error}); install the "
            "extra `ray` (pip install 'midtrain[ray]') here and on every node, or leave runtime.ray_address empty"
        ) from None
    generate_shards.with_options(task_runner=Runner(address=runtime.ray_address))(config, runtime, parents)
