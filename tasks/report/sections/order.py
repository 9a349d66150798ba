"""Which sections a report has, and in which order: each makes blocks of the numbers, for every renderer alike."""

from collections.abc import Callable
from dataclasses import dataclass

from tasks.report.blocks import Block, Table
from tasks.report.sections import claims, curves, diversity, examples, origins, predictions, scores, starts, votes
from tasks.report.summary import ReportSummary


@dataclass(frozen=True)
class Section:
    """One part of a report."""

    name: str
    """Where links into a page lead."""
    build: Callable[[ReportSummary], list[Block]]
    """What it shows; nothing where there is nothing to show."""


ORIGINS = (
    Section("files", origins.files),
    Section("ledger", origins.ledger),
    Section("lineage", origins.lineage),
    Section("settings", origins.settings),
)
OF_EVALUATIONS = (
    Section("claimed", claims.findings),
    Section("findings", scores.findings),
    Section("models", scores.models),
    Section("votes", votes.votes),
    Section("comparisons", scores.comparisons),
    Section("claims", claims.claims),
    Section("curves", scores.curves),
    Section("before-rl", starts.before_rl),
    Section("training", curves.training),
    Section("heuristics", scores.heuristics),
    Section("styles", scores.styles),
    Section("diversity", diversity.diversity),
    Section("examples", examples.examples),
    *ORIGINS,
)
"""A report on evaluations alone."""
OF_PREDICTIONS = (
    Section("claimed", claims.findings),
    Section("findings", scores.remarks),
    Section("accuracy", predictions.accuracy),
    Section("comparisons", predictions.comparisons),
    Section("training", curves.next_token_training),
    Section("afterwards", predictions.afterwards),
    Section("claims", claims.claims),
    Section("texts", origins.pictures),
    Section("examples", examples.examples),
    *ORIGINS,
)
"""A report with next-token predictions, whatever else was measured."""


def build(summary: ReportSummary) -> dict[str, list[Block]]:
    """Every section that has something to show, by name, in the order of the page."""
    sections = OF_PREDICTIONS if summary.predictions else OF_EVALUATIONS
    return {section.name: blocks for section in sections if (blocks := section.build(summary))}


def tables_of(summary: ReportSummary) -> list[Table]:
    """The tables of every section."""
    return [block for blocks in build(summary).values() for block in blocks if isinstance(block, Table)]
