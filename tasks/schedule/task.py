"""The schedule stage as a Prefect task."""

from tasks.schedule.checks import check_entropy
from tasks.schedule.config import ScheduleConfig
from tasks.schedule.plot import draw_schedule
from tasks.schedule.schema import PLOT_FILE
from tasks.schedule.summary import examples, ledger, summarize
from tasks.schedule.write import Writer
from tasks.shared.engines.tokenizer_digest import tokenizer_digest
from tasks.shared.next_token.prompts import PredictionRenderer
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

SCHEDULE = Stage("schedule", version=1, kind="schedule")


@stage_task(SCHEDULE)
def write_schedule(build: Build, config: ScheduleConfig) -> None:
    """Write a whole run ahead from the parent `entropy`; the parent `model` is the policy that will be trained."""
    model = build.path("model")
    digest = tokenizer_digest(model)
    check_entropy(config, build.parent("entropy"), build.parents["model"], digest)
    renderer = PredictionRenderer.for_model(
        config.prediction_prompt, model, trust_remote_code=build.runtime.trust_remote_code
    )
    written = Writer(config, build.path("entropy"), renderer).write(build.out, build.work / "tables")
    summary = summarize(config, written)
    draw_schedule(summary, config, build.out / PLOT_FILE)
    build.record(
        rows={"steps": summary["steps"], "positions": written.used.size, "documents": written.documents},
        ledger=ledger(written),
        summary={
            **summary,
            **renderer.form.summary(),
            "examples": examples(build.out),
            "tokenizer_digest": digest,
            "opens_reasoning": renderer.opens_reasoning,
        },
    )
