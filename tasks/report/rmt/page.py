"""The page and the markdown of a report of reinforcement mid-training: templates filled with the numbers."""

import base64
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tasks.entropy.schema import PLOT_FILE as ENTROPY_PLOT
from tasks.report.page import environment, reach, tree
from tasks.report.plots import Plot
from tasks.report.rmt.material import RMTMaterial
from tasks.report.rmt.summary import RMTSummary
from tasks.schedule.schema import PLOT_FILE as SCHEDULE_PLOT
from tasks.shared.figures import Look

PICTURES = {"entropy": (ENTROPY_PLOT, "Entropy of the texts"), "schedule": (SCHEDULE_PLOT, "Schedule")}
"""By kind of artifact: the figure that it brings, and what it shows."""


@dataclass(frozen=True)
class Picture:
    """A figure that another stage drew."""

    title: str
    used_by: str
    ref: str
    data: str
    """As the page embeds it."""


def render_page(material: RMTMaterial, summary: RMTSummary, plots: Sequence[Plot]) -> str:
    """The whole report as one HTML page that needs nothing else."""
    labels = [row.label for row in summary.rows]
    labels += [row.label for row in summary.afterwards.models] if summary.afterwards else []
    after = summary.afterwards.comparisons if summary.afterwards else []
    return (
        environment(autoescape=True)
        .get_template("rmt-page.html.jinja")
        .render(
            summary=summary,
            plots={plot.name: plot for plot in plots},
            pictures=list(pictures(material)),
            colour=Look(tuple(dict.fromkeys(labels))).colour,
            tree=tree(material.provenance),
            reach=reach(summary.comparisons),
            reach_after=reach(after),
            links={stage.ref: stage.link for stage in summary.stages},
        )
    )


def render_markdown(summary: RMTSummary) -> str:
    """The main tables as markdown."""
    return environment(autoescape=False).get_template("rmt-summary.md.jinja").render(summary=summary)


def pictures(material: RMTMaterial) -> Iterator[Picture]:
    """Figures of the entropy and of the schedules, each artifact's once; of several seeds, the first."""
    shown: set[tuple[str, ...]] = set()
    for manifest in material.provenance.manifests:
        file, title = PICTURES.get(manifest.kind, ("", ""))
        path = material.folders[manifest.ref] / file if file else None
        arms = tuple(sorted({entry.label for entry in material.provenance.entries_of[manifest.ref]}))
        if path is None or not path.exists() or (manifest.kind, *arms) in shown:
            continue
        shown.add((manifest.kind, *arms))
        data = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
        every = manifest.kind == "entropy"
        yield Picture(title, "" if every else ", ".join(arms), str(manifest.ref), data)
