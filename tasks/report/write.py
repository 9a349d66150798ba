"""Writing a report into a folder; knows nothing of Prefect."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tasks.report.config import ReportConfig
from tasks.report.material import gather
from tasks.report.page import render_markdown, render_page
from tasks.report.plots import Plot, draw
from tasks.report.summary import ReportSummary
from tasks.report.tables import summarise
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store

PAGE_FILE = "report.html"
MARKDOWN_FILE = "summary.md"
NUMBERS_FILE = "summary.json"
PLOTS_FOLDER = "plots"
INSIDE_STORE = "../../.."
"""From a published report's folder to the store's root, so that links survive a move of the store."""


def write_report(
    store: Store,
    config: ReportConfig,
    parents: Mapping[str, ArtifactRef],
    out: Path,
    *,
    store_link: str = INSIDE_STORE,
) -> ReportSummary:
    """Write report.html, summary.md, summary.json and plots/*.png into `out`, from evaluations of the store.

    Args:
        parents: evaluation artifacts by the roles that `config.entries` name.
        store_link: put before the store's paths in the page's links; the default suits a report inside the store.

    Raises:
        ValueError: a role without an evaluation, or evaluations that did not ask the same questions equally often.
        ArtifactMissing: an evaluation is not in the store.
    """
    material = gather(store, config, parents)
    summary = summarise(material, store_link)
    curves = material.provenance.curves()
    plots = draw(summary, curves)
    numbers = summary.model_dump(mode="json") | {"curves": [curve.as_json() for curve in curves]}
    write_files(out, render_page(material, summary, plots), render_markdown(summary), numbers, plots)
    return summary


def write_files(out: Path, page: str, markdown: str, numbers: Mapping[str, Any], plots: Sequence[Plot]) -> None:
    """The files that every report has."""
    (out / PLOTS_FOLDER).mkdir(parents=True, exist_ok=True)
    for plot in plots:
        (out / PLOTS_FOLDER / f"{plot.name}.png").write_bytes(plot.png)
    (out / PAGE_FILE).write_text(page)
    (out / MARKDOWN_FILE).write_text(markdown)
    (out / NUMBERS_FILE).write_text(json.dumps(numbers, indent=1))
