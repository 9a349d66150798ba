"""What a pipeline shows of itself on the pages that people open: tables, plots and links, in Prefect and in MLflow.

Nothing here is needed by a run, and nothing here may fail one. While planning, nothing is shown.
"""

import base64
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from prefect.artifacts import create_markdown_artifact, create_table_artifact
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import ArtifactCreate
from prefect.client.schemas.objects import FlowRun
from prefect.context import FlowRunContext
from prefect.settings import get_current_settings
from prefect.utilities.urls import url_for

from tasks.report.blocks import joined
from tasks.report.show import headline, tables
from tasks.report.write import MARKDOWN_FILE, PAGE_FILE, PLOTS_FOLDER
from tasks.spine.stage.context import run_context
from tasks.spine.stage.progress import MLFLOW
from tasks.spine.store.manifest import git_commit
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.tracking.journal import StageRecord, once
from tasks.spine.tracking.pages import mlflow_address
from tasks.spine.tracking.tracker import Tracker
from tasks.text import in_markdown

log = logging.getLogger(__name__)

COMPARISONS = "comparisons"
"""Key of the table artifact with a run's comparisons, in full precision: what `midtrain gate` judges."""
COMMITS = "commits"
"""Key of the table artifact with the commit of the run's own code and of each stage that it built: what
`midtrain gate --commit` judges."""
REPORT, STAGES = "report", "stages"
"""Keys of the markdown artifacts with the report and with what became of each stage."""


def current_flow_run() -> FlowRun | None:
    """The Prefect flow run that this code is part of."""
    context = FlowRunContext.get()
    return context.flow_run if context else None


def flow_run_link() -> str:
    """Markdown link to the page of this flow run; empty where there is none, as with a temporary server."""
    run = current_flow_run()
    page = url_for("flow-run", obj_id=run.id) if run and get_current_settings().server.ui.enabled else None
    return f"[Flow run in Prefect]({page})" if page else ""


def show_link(tracker: Tracker) -> None:
    """From the pipeline's flow run to its run in MLflow, as soon as that is there."""
    flow_run_id = run_context().flow_run_id
    if flow_run_id is None or tracker.parent_run_id is None:
        return
    with _harmless("the link to MLflow"):
        page = tracker.page(tracker.parent_run_id)
        if page:
            # Made while the first stage begins, whose page `create_link_artifact` would put it on.
            link = {"type": "markdown", "key": MLFLOW, "data": f"[{in_markdown(tracker.name)} in MLflow]({page})"}
            with get_client(sync_client=True) as client:
                client.create_artifact(
                    ArtifactCreate(**link, description="Curves, models, lineage", flow_run_id=flow_run_id)
                )


def show_results(report: ArtifactRef) -> None:
    """A report on the run's pages, whether it was made now or before.

    What judges a run from outside, such as CI, reads the comparisons there and needs no way to the store.
    """
    context = run_context()
    if context.visitor is not None:
        return
    with _harmless("the results"):
        store = context.store
        manifest, folder = store.manifest(report), store.local(report)
        markdown = (folder / MARKDOWN_FILE).read_text()
        if context.tracker is not None:
            context.tracker.log_report(str(folder / PAGE_FILE), markdown, dict(headline(manifest)))
        if current_flow_run() is None:
            return
        about = f"Paired comparisons of {report} in full precision, for programs"
        create_table_artifact(manifest.summary["comparisons"], key=COMPARISONS, description=about)
        for key, table in joined(tables(manifest)).items():
            create_table_artifact(table.records(), key=key, description=in_markdown(table.title))
        create_markdown_artifact(
            markdown + plots(folder / PLOTS_FOLDER), key=REPORT, description=f"Results and plots of {report}"
        )


def plots(folder: Path) -> str:
    """A report's figures as markdown that holds the images."""
    images = {path.stem: base64.b64encode(path.read_bytes()).decode() for path in sorted(folder.glob("*.png"))}
    return "".join(f"\n### {name}\n\n![{name}](data:image/png;base64,{image})\n" for name, image in images.items())


def show_stages(stages: Sequence[StageRecord], tracker: Tracker) -> None:
    """What became of each stage of a run, with the artifact and the MLflow run that made it."""
    if run_context().visitor is not None or current_flow_run() is None or not stages:
        return
    with _harmless("the stages"):
        rows = ["| stage | of | | seconds | artifact | MLflow |", "|---|---|---|---:|---|---|"]
        rows += [_stage(record, tracker) for record in once(stages)]
        built = sum(not record.hit for record in once(stages))
        if not mlflow_address(tracker.settings):
            rows += ["", f"`midtrain ui` serves MLflow's pages of these runs: {tracker.settings.mlflow_shown}"]
        about = f"{built} built now, {len(once(stages)) - built} from the store"
        create_markdown_artifact("\n".join(rows), key=STAGES, description=about)
        create_table_artifact(commits(stages), key=COMMITS, description="Commits of the code that ran, for programs")


def commits(stages: Sequence[StageRecord]) -> list[dict[str, str]]:
    """The commit of this process's code, and that which the manifest of each stage built now records."""
    built = [(record.stage, record.manifest.git_commit) for record in once(stages) if not record.hit]
    return [{"what": what, "commit": commit or ""} for what, commit in (("pipeline", git_commit()), *built)]


def _stage(record: StageRecord, tracker: Tracker) -> str:
    name, manifest, hit, label = record
    run = manifest.mlflow_run_id
    page = tracker.page(run) if run else ""
    cells = [
        name,
        in_markdown(label),
        "from the store" if hit else "**built now**",
        f"{manifest.seconds:.1f}",
        f"`{manifest.ref}`",
    ]
    return f"| {' | '.join(cells)} | {f'[run]({page})' if page else run or '-'} |"


@contextmanager
def _harmless(what: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        log.warning("%s could not be shown: %s", what, error)
