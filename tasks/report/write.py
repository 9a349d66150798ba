"""Writing a report into a folder; knows nothing of Prefect."""

import json
from collections.abc import Mapping
from pathlib import Path

from tasks.report.blocks import Figure
from tasks.report.config import ReportConfig
from tasks.report.numbers.inputs import gather
from tasks.report.numbers.summarise import summarise
from tasks.report.render.markdown import document
from tasks.report.render.page import render_page
from tasks.report.sections import order
from tasks.report.summary import ReportSummary
from tasks.spine.store.ref import ArtifactRef
from tasks.spine.store.store import Store

PAGE_FILE = "report.html"
MARKDOWN_FILE = "summary.md"
NUMBERS_FILE = "summary.json"
PLOTS_FOLDER = "plots"


def write_report(
    store: Store, config: ReportConfig, parents: Mapping[str, ArtifactRef], out: Path, command: str = ""
) -> ReportSummary:
    """Write report.html, summary.md, summary.json and plots/*.png into `out`, from measurements in the store.

    Args:
        parents: evaluations and predictions by the roles that `config.entries` name.
        command: what makes the same again, for a shell.

    Raises:
        ValueError: a role without an artifact, evaluations that did not ask the same questions equally often, or
            predictions at other positions.
        ArtifactMissing: one of them is not in the store.
    """
    summary = summarise(gather(store, config, parents)).model_copy(update={"command": command})
    built = order.build(summary)
    blocks = [block for several in built.values() for block in several]
    (out / PLOTS_FOLDER).mkdir(parents=True, exist_ok=True)
    for block in blocks:
        # Those without a name lie in the store already.
        if isinstance(block, Figure) and block.name:
            (out / PLOTS_FOLDER / f"{block.name}.png").write_bytes(block.drawn.png)
    (out / PAGE_FILE).write_text(render_page(summary, built))
    (out / MARKDOWN_FILE).write_text(document(summary.title, blocks))
    (out / NUMBERS_FILE).write_text(json.dumps(summary.model_dump(mode="json"), indent=1))
    return summary
