"""The stage as a Prefect task."""

from tasks.interpolate.config import InterpolateConfig, InterpolateJob
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

INTERPOLATE = Stage("interpolate", version=1, kind="model")


@stage_task(INTERPOLATE)
def write_between(build: Build, config: InterpolateConfig) -> None:
    """Write the model between the parents `base` and `model`."""
    job = InterpolateJob(base=build.path("base"), model=build.path("model"), out=build.out, alpha=config.alpha)
    result = build.worker("tasks.interpolate.worker", job)
    build.record(rows=result, facts={"alpha": f"{config.alpha:g}"})
