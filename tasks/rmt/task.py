"""The reinforcement mid-training stage as a Prefect task."""

from tasks.errors import Permanent
from tasks.rmt.checks import check_prompt
from tasks.rmt.config import RMTJob, RMTTrainConfig
from tasks.schedule.schema import TEXTS_FILE
from tasks.shared.engines.prompt_form import form_of
from tasks.shared.training.accelerate import launcher
from tasks.shared.training.config import rollout_job_fields
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.store.manifest import TrainedRows
from tasks.texts.schema import TRAIN_FILE

RMT_TRAIN = Stage("rmt_train", version=3, kind="model", pool="gpu", trains=True)
TRAINED_ON = TrainedRows(role="schedule", path=TEXTS_FILE, id_column="document_id", method="reinforcement mid-training")
CHAINS = TrainedRows(role="chains", path=TRAIN_FILE, id_column="document_id", method="reinforcement mid-training")


@stage_task(RMT_TRAIN)
def train(build: Build, config: RMTTrainConfig) -> None:
    """Train the parent `model` with the dual loss along the parent `schedule`; resumes after a crash.

    Where there is a parent `chains`, its documents are learned beside the texts.
    """
    beside = CHAINS.role in build.parents
    if beside != bool(config.chains_per_position):
        raise Permanent(
            f"rmt_train.chains_per_position={config.chains_per_position} and {'a' if beside else 'no'} parent "
            "'chains': chains are learned where both are there"
        )
    schedule = build.parent("schedule")
    check_prompt(schedule.payload["config"].get("prediction_prompt", {}), config.prediction_prompt)
    job = RMTJob(
        **rollout_job_fields(build, data=build.path("schedule")),
        config=config,
        form=form_of(schedule),
        chains=build.path(CHAINS.role) / TRAIN_FILE if beside else None,
        tokenizer_digest=schedule.summary.get("tokenizer_digest", ""),
    )
    result = build.worker("tasks.rmt.worker", job, prefix=launcher(build.runtime))
    ledger = result["ledger"]
    build.record(
        rows={"positions": ledger["drawn_positions"], "rollouts": ledger["rollouts"], "steps": result["steps"]},
        ledger=ledger,
        summary={name: result[name] for name in ("curve", "solved", "seconds", "resumed_from_step")},
        trained_on=[TRAINED_ON, CHAINS] if beside else [TRAINED_ON],
    )
