"""The page and the markdown: templates filled with the numbers."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from tasks.report.ledger import balances
from tasks.report.material import Material
from tasks.report.plots import Plot
from tasks.report.provenance import Provenance
from tasks.report.summary import ComparisonRow, ReportSummary, p_text, percent, points
from tasks.shared.figures import Look
from tasks.spine.store.lineage import Node, describe
from tasks.spine.store.ref import ArtifactRef


def render_page(material: Material, summary: ReportSummary, plots: Sequence[Plot]) -> str:
    """The whole report as one HTML page that needs nothing else."""
    look = Look(material.config.labels)
    return (
        environment(autoescape=True)
        .get_template("page.html.jinja")
        .render(
            summary=summary,
            plots={plot.name: plot for plot in plots},
            colour=look.colour,
            tree=tree(material.provenance),
            reach=reach(summary.comparisons),
            links={stage.ref: stage.link for stage in summary.stages},
        )
    )


def render_markdown(summary: ReportSummary) -> str:
    """The main tables as markdown."""
    return environment(autoescape=False).get_template("summary.md.jinja").render(summary=summary)


def environment(autoescape: bool) -> Environment:
    """The templates of all reports and the filters that they use."""
    found = Environment(
        loader=PackageLoader("tasks.report"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {"percent": percent, "points": points, "p": p_text, "balances": balances, "words": _words}
    return found


def reach(rows: Sequence[ComparisonRow]) -> float:
    """Half the width of the axis of differences: a multiple of 5 points that holds every interval."""
    widest = max((max(abs(row.low), abs(row.high)) for row in rows), default=0.0)
    return max(1, math.ceil(widest * 20)) / 20


def _words(name: str) -> str:
    return name.replace("_", " ")


def _facts(node: Node) -> dict[str, str]:
    """What the tree says of an artifact; its ledger, commit and settings have sections of their own."""
    facts = describe(node.manifest) if node.manifest else {}
    return {name: text for name, text in facts.items() if name not in ("ledger", "commit")}


def tree(provenance: Provenance) -> list[Mapping[str, Any]]:
    """Lineage of each measured model as nested plain values; what was shown before is not unfolded again."""
    shown: set[ArtifactRef] = set()

    def unfold(role: str, node: Node) -> Mapping[str, Any]:
        repeated = node.ref in shown
        shown.add(node.ref)
        parents = () if repeated else node.parents.items()
        return {
            "role": role,
            "ref": str(node.ref),
            "stage": node.manifest.stage if node.manifest else "",
            "facts": _facts(node) if not repeated else {},
            "lost": node.manifest is None,
            "repeated": repeated,
            "parents": [unfold(name, parent) for name, parent in parents],
        }

    return [
        unfold(f"{entry.label}, seed {entry.seed}" if entry.arm else entry.label, provenance.roots[role])
        for role, entry in provenance.entry_of.items()
    ]
