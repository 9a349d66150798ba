"""The numbers of a report as plain models: what sections are made of, and what the manifest keeps."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, TypeVar

from pydantic import BaseModel, Field

from tasks.report.completions import ExampleSet
from tasks.report.rows import ACCURACY, ClaimSummary, ComparisonRow, ModelRow, PredictionRow
from tasks.report.training_rows import HeuristicRow, StartRow
from tasks.text import printable

T = TypeVar("T")


class StageRow(BaseModel):
    """One stage of the run: its counts, and where it came from."""

    stage: str
    what: str
    """Name of what it read, where it has one."""
    used_by: str
    ref: str
    link: str
    """Where a page has its settings and files."""
    rows: dict[str, int]
    ledger: dict[str, int]
    seconds: float
    created_at: str
    git_commit: str | None
    mlflow_run_id: str | None
    place: str = ""
    """Folder or address of its files when the report was made."""
    settings: dict[str, Any] = {}
    """The stage's configuration, dotted keys."""


class DiversityRow(BaseModel):
    """How different the solutions of one training set are."""

    used_by: str
    """Labels of the models that were trained on it."""
    seed: int
    kernel: str
    """What their similarity is that of."""
    questions: int
    solutions: int
    vendi_all: float
    vendi_per_question: float | None = None
    """Mean over questions with several solutions; None where there are none."""
    solutions_per_question: float | None = None
    self_bleu: float | None = None


class CompositionRow(BaseModel):
    """How often one label's answers use more than one style, by benchmark."""

    label: str
    shares: dict[str, float]


class PredictionSummary(BaseModel):
    """Next-token predictions at the same positions."""

    documents: int
    positions: dict[str, int]
    """How many there are of each tier."""
    samples: int
    """Completions of each position and seed."""
    rows: list[PredictionRow]

    @property
    def parts(self) -> list[str]:
        """Tiers, and their mean."""
        return list(self.rows[0].reasoning)


@dataclass(frozen=True)
class Curve:
    """Per-step values of one training run."""

    label: str
    seed: int
    stage: str
    points: tuple[Mapping[str, float], ...]
    """Each has `step` and the metrics of that step."""

    def series(self, metric: str) -> tuple[list[float], list[float]]:
        """Steps and values of a metric, where it was reported."""
        points = [point for point in self.points if metric in point]
        return [point["step"] for point in points], [point[metric] for point in points]


@dataclass(frozen=True)
class Branch:
    """An artifact in the lineage of a measured model."""

    role: str
    ref: str
    link: str
    note: str
    """`as above` where it was unfolded before."""
    facts: Mapping[str, str]
    parents: tuple["Branch", ...]


@dataclass(frozen=True)
class Picture:
    """A figure of what another stage made."""

    title: str
    used_by: str
    ref: str
    draw: Callable[[bool], Any]
    """Draws it, for a phone where it is told so."""


class ReportSummary(BaseModel):
    """Everything a report says in numbers and words."""

    title: str
    recipe: str
    base_model: str
    notes: list[str]
    warnings: list[str]
    confidence: float
    predictions: PredictionSummary | None = None
    """None for a report of evaluations alone."""
    claims: ClaimSummary | None = None
    """None where nothing is claimed."""
    models: list[ModelRow]
    comparisons: list[ComparisonRow]
    """Those at the same positions first."""
    heuristics: list[HeuristicRow]
    starts: list[StartRow] = []
    """What could be known before each RL training."""
    diversity: list[DiversityRow] = []
    """The training sets that the measured models were trained on."""
    compositions: list[CompositionRow] = []
    """One for each label whose answers show their styles."""
    stages: list[StageRow]
    styles: dict[str, dict[str, dict[str, float]]]
    """Benchmark, label, style: share of the sampled completions."""
    finished: str
    """When the newest stage was done."""
    command: str = ""
    """What makes the same again, for a shell; empty where no pipeline asked for the report."""
    commits: list[str]
    """Commits of the project that built the stages."""
    versions: dict[str, list[str]]
    """Package: version; several when stages were built with different ones."""
    curves: list[Curve] = []
    lineage: list[Branch] = Field([], exclude=True)
    pictures: list[Picture] = Field([], exclude=True)
    examples: list[ExampleSet] = Field([], exclude=True)
    """Completions, which stand in tables of their own."""

    @property
    def labels(self) -> tuple[str, ...]:
        """Every label in the order of the tables."""
        predicted = self.predictions.rows if self.predictions else []
        return tuple(dict.fromkeys(row.label for row in (*predicted, *self.models)))

    @property
    def benchmarks(self) -> list[str]:
        """Benchmarks in the order of the tables."""
        return list(dict.fromkeys(row.benchmark for row in self.models))

    @property
    def at_positions(self) -> list[ComparisonRow]:
        """Comparisons of predictions at the same positions."""
        return [row for row in self.comparisons if row.metric == ACCURACY]

    @property
    def on_questions(self) -> list[ComparisonRow]:
        """Comparisons of answers to the same questions."""
        return [row for row in self.comparisons if row.metric != ACCURACY]

    @property
    def findings(self) -> list[ComparisonRow]:
        """The comparisons to read first: pass@1 on each benchmark, pair by pair."""
        first = [row for row in self.comparisons if row.metric == "pass@1"]
        pairs = list(dict.fromkeys((row.baseline, row.candidate) for row in self.comparisons))
        return sorted(first, key=lambda row: pairs.index((row.baseline, row.candidate)))


def all_printable(value: T) -> T:
    """The same value with every text in it printable: in lists, mappings, models and dataclasses."""
    match value:
        case str():
            return printable(value)
        case list() | tuple():
            return type(value)(map(all_printable, value))
        case Mapping():
            return {all_printable(name): all_printable(item) for name, item in value.items()}
        case BaseModel():
            return value.model_copy(update={name: all_printable(item) for name, item in value if item})
        case _ if is_dataclass(value):
            return replace(value, **{item.name: all_printable(getattr(value, item.name)) for item in fields(value)})
        case _:
            return value
