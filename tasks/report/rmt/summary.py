"""The numbers of a report of reinforcement mid-training as plain models."""

from typing import Literal, get_args

from pydantic import BaseModel

from tasks.report.rmt.paper import PaperAccuracy, PaperAfterwards
from tasks.report.summary import ComparisonRow, Metric, ReportSummary, StageRow

METHOD = "rmt"
Status = Literal["holds", "does not hold", "unclear"]


class PredictionRow(BaseModel):
    """One label at all positions."""

    label: str
    method: str
    checkpoint: str
    seeds: list[int]
    reasoning: dict[str, Metric]
    """Accuracy with reasoning by tier and `mean`, exact match."""
    prefix: dict[str, Metric]
    """The same, by RPT's prefix rule."""
    direct: dict[str, Metric]
    """Accuracy of the likeliest next token, without reasoning."""
    tokens: Metric | None
    """Mean length of the reasoning over the tiers, tokens; None where a tier has no position."""
    budget_tokens: int
    """What the prompt asked for; 0 for none."""
    no_prediction_share: float
    truncated_share: float


class Claim(BaseModel):
    """Something that the paper orders, and what came out here."""

    text: str
    """What the paper reports, as a sentence without its full stop."""
    paper: str
    """Its numbers."""
    here: str
    """Ours, with interval and test."""
    status: Status
    gap: str = ""
    """For an unclear one: what size of difference would often go unseen."""

    @property
    def sentence(self) -> str:
        """The claim in plain words."""
        verdict = {"holds": "Holds here", "does not hold": "Does not hold here", "unclear": "Unclear here"}[self.status]
        return f"{verdict}: {self.text} (paper: {self.paper}). {self.here}{self.gap}"


class RMTSummary(BaseModel):
    """Everything a report says in numbers and words."""

    method: Literal["rmt"] = METHOD
    """Tells this summary from that of a report of evaluations alone."""
    title: str
    recipe: str
    base_model: str
    notes: list[str]
    warnings: list[str]
    confidence: float
    documents: int
    positions: dict[str, int]
    """By tier."""
    samples: int
    """Completions of each position and seed."""
    claims: list[Claim]
    not_run: list[str]
    """Orderings of the paper that the entries do not allow to check."""
    rows: list[PredictionRow]
    comparisons: list[ComparisonRow]
    afterwards: ReportSummary | None
    """Benchmarks; without stages of its own."""
    paper: list[PaperAccuracy]
    paper_afterwards: list[PaperAfterwards]
    stages: list[StageRow]
    finished: str
    """When the newest stage was done."""
    commits: list[str]
    versions: dict[str, list[str]]

    @property
    def headline(self) -> str:
        """How many of the paper's orderings came out, in one sentence."""
        counts = {status: sum(claim.status == status for claim in self.claims) for status in get_args(Status)}
        return (
            f"Of {len(self.claims)} orderings of the paper that were checked, {counts['holds']} hold here, "
            f"{counts['does not hold']} do not, and {counts['unclear']} are unclear."
        )

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs that are compared at the same positions."""
        return list(dict.fromkeys((row.baseline, row.candidate) for row in self.comparisons))

    @property
    def parts(self) -> list[str]:
        """Tiers, and their mean."""
        return list(self.rows[0].reasoning)
