"""The report of reinforcement mid-training as a Prefect task."""

from tasks.report.rmt.config import RMTReportConfig
from tasks.report.rmt.write import write_report
from tasks.report.task import WITHOUT
from tasks.spine.stage.call import Stage
from tasks.spine.stage.stage import Build
from tasks.spine.stage.task import stage_task

RMT_REPORT = Stage("rmt-report", version=2, kind="report")


@stage_task(RMT_REPORT)
def rmt_report(build: Build, config: RMTReportConfig) -> None:
    """The paper's tables beside ours, its claims tested, figures and lineage, of the parents that the entries name."""
    summary = write_report(build.store, config, build.parents, build.out)
    build.record(rows={"models": len(summary.rows)}, summary=summary.model_dump(mode="json", exclude=WITHOUT))
