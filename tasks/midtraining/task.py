"""The mid-training stage as a Prefect task."""

from tasks.artifacts.stage import Build, Stage
from tasks.artifacts.task import stage_task
from tasks.dataset.schema import TRAIN_FILE
from tasks.midtraining.config import MidtrainingConfig
from tasks.midtraining.job import MidtrainingJob
from tasks.training.job import place_of
from tasks.training.launching import launcher

MIDTRAIN = Stage("midtrain", version=1, kind="model", trains=True)


@stage_task(MIDTRAIN)
def train(build: Build, config: MidtrainingConfig) -> None:
    """Fine-tune the parent `model` on the rows of the parent `dataset`; resumes after a crash."""
    job = MidtrainingJob(**place_of(build, data=build.path("dataset") / TRAIN_FILE), config=config)
    result = build.worker("tasks.midtraining.worker", job, prefix=launcher(build.runtime))
    ledger = result["ledger"]
    build.record(
        rows={"examples": ledger["examples"], "steps": result["steps"]},
        ledger=ledger,
        summary={name: result[name] for name in ("curve", "seconds", "resumed_from_step")},
    )
