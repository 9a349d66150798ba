"""The RL stage as a Prefect task."""

from tasks.dataset.schema import RL_FILE, TRAIN_FILE
from tasks.errors import Permanent
from tasks.rl.config import RLConfig, RLJob
from tasks.shared.engines.prompt_form import form_of
from tasks.shared.training.accelerate import launcher
from tasks.shared.training.config import rollout_job_fields
from tasks.shared.verification.verdict import verdicts_in_words
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task
from tasks.spine.store.manifest import TrainedRows

RL = Stage("rl", version=4, kind="model", pool="gpu", trains=True)
TRAINED_ON = TrainedRows(role="prompts", path=RL_FILE, id_column="question_id", method="RL")
SOLUTIONS = TrainedRows(role="dataset", path=TRAIN_FILE, id_column="question_id", method="SFT beside RL")


@stage_task(RL)
def train(build: Build, config: RLConfig) -> None:
    """Train the parent `model` with GRPO on the questions of the parent `prompts`; resumes after a crash.

    Where there is a parent `dataset`, its solutions are learned in the same steps.
    """
    runtime = build.runtime
    beside = SOLUTIONS.role in build.parents
    if bool(config.sft_weight) != beside:
        raise Permanent(
            f"rl.sft_weight={config.sft_weight} and {'a' if beside else 'no'} parent 'dataset': solutions are learned "
            "beside RL where both are there; give the flow a dataset, or set rl.sft_weight=0"
        )
    job = RLJob(
        **rollout_job_fields(build, data=build.path("prompts") / RL_FILE),
        config=config,
        form=form_of(build.parent("prompts")),
        num_verifiers=runtime.num_verifiers,
        verifier_memory_mb=runtime.verifier_memory_mb,
        solutions=build.path(SOLUTIONS.role) / TRAIN_FILE if beside else None,
    )
    result = build.worker("tasks.rl.worker", job, prefix=launcher(build.runtime))
    ledger = result["ledger"]
    build.record(
        rows={"prompts": ledger["usable"], "rollouts": ledger["rollouts"], "steps": result["steps"]},
        ledger=ledger,
        facts={"verdicts": verdicts_in_words(ledger)},
        summary={name: result[name] for name in ("curve", "solved", "left_out", "seconds", "resumed_from_step")},
        trained_on=[TRAINED_ON, *([SOLUTIONS] if beside else [])],
    )
