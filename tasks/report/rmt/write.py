"""Writing a report of reinforcement mid-training into a folder; knows nothing of Prefect."""

from collections.abc import Mapping
from pathlib import Path

from tasks.report.rmt.config import RMTReportConfig
from tasks.report.rmt.material import gather
from tasks.report.rmt.page import render_markdown, render_page
from tasks.report.rmt.plots import draw
from tasks.report.rmt.summary import RMTSummary
from tasks.report.rmt.tables import summarise
from tasks.report.write import INSIDE_STORE, write_files
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store


def write_report(
    store: Store,
    config: RMTReportConfig,
    parents: Mapping[str, ArtifactRef],
    out: Path,
    *,
    store_link: str = INSIDE_STORE,
) -> RMTSummary:
    """Write report.html, summary.md, summary.json and plots/*.png into `out`, from predictions and evaluations.

    Args:
        parents: artifacts by the roles that `config.entries` name.
        store_link: put before the store's paths in the page's links; the default suits a report inside the store.

    Raises:
        ValueError: a role without an artifact, or checkpoints that predicted other positions.
        ArtifactMissing: one of them is not in the store.
    """
    material = gather(store, config, parents)
    summary = summarise(material, store_link)
    curves = material.provenance.curves()
    plots = draw(summary, curves)
    numbers = summary.model_dump(mode="json") | {"curves": [curve.as_json() for curve in curves]}
    write_files(out, render_page(material, summary, plots), render_markdown(summary), numbers, plots)
    return summary
