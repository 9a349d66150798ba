"""The mid-training stage as a Prefect task."""

from tasks.dataset.schema import TRAIN_FILE
from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.shared.engines.prompt_form import form_of
from tasks.shared.training.accelerate import launcher
from tasks.shared.training.config import train_job_fields
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.store.manifest import TrainedRows

MIDTRAIN = Stage("midtrain", version=4, kind="model", pool="gpu", trains=True)
TRAINED_ON = TrainedRows(role="dataset", path=TRAIN_FILE, id_column="question_id", method="mid-training")


@stage_task(MIDTRAIN)
def train(build: Build, config: MidtrainConfig) -> None:
    """Fine-tune the parent `model` on the rows of the parent `dataset`; resumes after a crash."""
    job = MidtrainJob(
        **train_job_fields(build, data=build.path("dataset") / TRAIN_FILE),
        config=config,
        form=form_of(build.parent("dataset")),
    )
    result = build.worker("tasks.midtrain.worker", job, prefix=launcher(build.runtime))
    ledger = result["ledger"]
    build.record(
        rows={"examples": ledger["examples"], "steps": result["steps"]},
        ledger=ledger,
        summary={name: result[name] for name in ("curve", "seconds", "resumed_from_step")},
        trained_on=[TRAINED_ON],
    )
