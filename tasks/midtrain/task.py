"""The mid-training stage as a Prefect task."""

from tasks.dataset.schema import TRAIN_FILE
from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.shared.training.accelerate import launcher
from tasks.shared.training.config import train_job_fields
from tasks.spine.stage.stage import Build, Stage
from tasks.spine.stage.task import stage_task

MIDTRAIN = Stage("midtrain", version=1, kind="model", trains=True)


@stage_task(MIDTRAIN)
def train(build: Build, config: MidtrainConfig) -> None:
    """Fine-tune the parent `model` on the rows of the parent `dataset`; resumes after a crash."""
    job = MidtrainJob(**train_job_fields(build, data=build.path("dataset") / TRAIN_FILE), config=config)
    result = build.worker("tasks.midtrain.worker", job, prefix=launcher(build.runtime))
    ledger = result["ledger"]
    build.record(
        rows={"examples": ledger["examples"], "steps": result["steps"]},
        ledger=ledger,
        summary={name: result[name] for name in ("curve", "seconds", "resumed_from_step")},
    )
