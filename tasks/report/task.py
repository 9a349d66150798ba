"""The report as a Prefect task: a page in the store, and markdown and image artifacts for Prefect's UI."""

import base64
import logging
import re
from pathlib import Path

from prefect.artifacts import create_image_artifact, create_markdown_artifact
from prefect.context import TaskRunContext

from tasks.artifacts.stage import Build, Stage
from tasks.artifacts.task import stage_task
from tasks.artifacts.tracking import current_tracker
from tasks.report.config import ReportConfig
from tasks.report.write import MARKDOWN_FILE, PAGE_FILE, PLOTS_FOLDER, write_report

REPORT = Stage("report", version=1, kind="report")

WITHOUT = {"stages": {"__all__": {"settings"}}}
"""Left out of the manifest's summary: the settings stand in the manifests of the stages themselves."""

log = logging.getLogger(__name__)


@stage_task(REPORT)
def report(build: Build, config: ReportConfig) -> None:
    """Tables, figures, ledgers and lineage of the evaluations that are this stage's parents, by role."""
    summary = write_report(build.store, config, build.parents, build.out)
    build.record(rows={"models": len(config.labels)}, summary=summary.model_dump(mode="json", exclude=WITHOUT))
    announce(build.out, config.recipe)


def announce(folder: Path, recipe: str) -> None:
    """Hand a written report to MLflow and to Prefect's UI, where a run of theirs is under way."""
    tracker = current_tracker()
    if tracker is not None:
        tracker.log_report(str(folder / PAGE_FILE))
    if TaskRunContext.get() is not None:
        _show_in_prefect(folder, recipe)


def _show_in_prefect(folder: Path, recipe: str) -> None:
    """Artifacts beside the run; a server that refuses them does not stop a report that is already written."""
    key = re.sub("[^a-z0-9]+", "-", f"report-{recipe}".lower()).strip("-")
    try:
        create_markdown_artifact(key=key, markdown=(folder / MARKDOWN_FILE).read_text(), description="Report")
        for plot in sorted((folder / PLOTS_FOLDER).glob("*.png")):
            image = base64.b64encode(plot.read_bytes()).decode()
            create_image_artifact(key=f"{key}-{plot.stem}", image_url=f"data:image/png;base64,{image}")
    except Exception as error:
        log.warning("the report's Prefect artifacts could not be made: %s", error)
