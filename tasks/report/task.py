"""The report as a Prefect task: a page in the store, which the pipeline then shows."""

from tasks.report.config import ReportConfig
from tasks.report.write import write_report
from tasks.spine.stage.call import Stage
from tasks.spine.stage.context import run_context
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

REPORT = Stage("report", version=10, kind="report")

WITHOUT = {"curves": True, "stages": {"__all__": {"settings"}}}
"""Left out of the manifest's summary: curves and settings stand in the manifests of the stages themselves."""


@stage_task(REPORT)
def report(build: Build, config: ReportConfig) -> None:
    """Tables, figures, ledgers and lineage of the measurements that are this stage's parents, by role."""
    summary = write_report(build.store, config, build.parents, build.out, run_context().command)
    rows = {"models": len({entry.label for entry in config.entries})}
    build.record(rows=rows, summary=summary.model_dump(mode="json", exclude=WITHOUT))
