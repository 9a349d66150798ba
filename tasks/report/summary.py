"""The numbers of a report as plain models: what the page, the markdown, the terminal and the manifest show."""

from typing import Any, Literal

from pydantic import BaseModel

MINUS = "\N{MINUS SIGN}"


class Metric(BaseModel):
    """A share with its interval over questions, 0 to 1."""

    mean: float
    low: float
    high: float
    by_seed: dict[int, float] = {}
    spread: float | None = None
    """Standard deviation over training seeds."""


class ModelRow(BaseModel):
    """One label on one benchmark."""

    label: str
    checkpoint: str
    benchmark: str
    seeds: list[int]
    questions: int
    samples: int
    metrics: dict[str, Metric]
    """`greedy` and `pass@k` for every k."""
    headline: list[str]
    """Metrics of the main table."""
    mean_tokens: float | None = None
    truncated_share: float | None = None
    unparsed_share: float | None = None


class ComparisonRow(BaseModel):
    """Candidate minus baseline, paired by question; a share, 1 being 100 points."""

    baseline: str
    candidate: str
    benchmark: str
    metric: str
    difference: float
    low: float
    high: float
    p_value: float
    minimum_detectable: float | None
    """Smallest true difference found with 80 % power; None where no two questions differ, which shows no spread."""
    confidence: float

    @property
    def verdict(self) -> Literal["better", "worse", "unclear"]:
        """What interval and test together allow to say."""
        if self.low <= 0 <= self.high or self.p_value > 1 - self.confidence:
            return "unclear"
        return "better" if self.low > 0 else "worse"

    @property
    def sentence(self) -> str:
        """The comparison in plain words."""
        interval = interval_words(self)
        what = f"{self.metric} on {self.benchmark}"
        if self.verdict == "unclear":
            limit = (
                ""
                if self.minimum_detectable is None
                else (
                    f" Differences below about {100 * self.minimum_detectable:.1f} points would often go unseen here."
                )
            )
            return (
                f"No significant difference between {self.candidate} and {self.baseline} in {what}: "
                f"{points(self.difference)} points ({interval}).{limit}"
            )
        direction = "higher" if self.verdict == "better" else "lower"
        return (
            f"{self.candidate} scores {direction} than {self.baseline} in {what}: "
            f"{points(self.difference)} points ({interval})."
        )


class HeuristicRow(BaseModel):
    """What became of the solutions written under one heuristic."""

    arms: str
    """Arms that use it."""
    name: str
    """Empty: the plain prompt."""
    samples: int
    correct: int
    kept: int
    mean_adherence: float | None = None

    @property
    def correct_rate(self) -> float:
        """Share of samples with a right final answer."""
        return self.correct / self.samples if self.samples else 0.0


class StageRow(BaseModel):
    """One stage of the run: its counts, and where it came from."""

    stage: str
    what: str
    """Name of what it read, where it has one."""
    used_by: str
    ref: str
    link: str
    rows: dict[str, int]
    ledger: dict[str, int]
    seconds: float
    created_at: str
    git_commit: str | None
    mlflow_run_id: str | None
    settings: dict[str, Any] = {}
    """The stage's configuration, dotted keys."""


class ReportSummary(BaseModel):
    """Everything a report says in numbers and words."""

    title: str
    recipe: str
    base_model: str
    notes: list[str]
    warnings: list[str]
    confidence: float
    models: list[ModelRow]
    comparisons: list[ComparisonRow]
    heuristics: list[HeuristicRow]
    stages: list[StageRow]
    styles: dict[str, dict[str, dict[str, float]]]
    """Benchmark, label, style: share of the sampled completions."""
    finished: str
    """When the newest stage was done."""
    commits: list[str]
    """Commits of the project that built the stages."""
    versions: dict[str, list[str]]
    """Package: version; several when stages were built with different ones."""

    @property
    def benchmarks(self) -> list[str]:
        """Benchmarks in the order of the tables."""
        return list(dict.fromkeys(row.benchmark for row in self.models))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Pairs that are compared, (baseline, candidate)."""
        return list(dict.fromkeys((row.baseline, row.candidate) for row in self.comparisons))

    @property
    def findings(self) -> list[ComparisonRow]:
        """The comparisons to read first: pass@1 on each benchmark, pair by pair."""
        found = [row for row in self.comparisons if row.metric == "pass@1"]
        return sorted(found, key=lambda row: self.pairs.index((row.baseline, row.candidate)))


def interval_words(row: ComparisonRow) -> str:
    """Interval and p-value of a comparison, for a sentence."""
    text = f"{row.confidence:.0%} interval {points(row.low)} to {points(row.high)}, {p_text(row.p_value)}"
    return text.replace("p ", "p\N{NO-BREAK SPACE}").replace("= ", "=\N{NO-BREAK SPACE}")


def points(share: float) -> str:
    """A difference of shares in percentage points, with its sign: `+3.2`."""
    text = f"{100 * share:+.1f}".replace("-", MINUS)
    return "0.0" if text in ("+0.0", f"{MINUS}0.0") else text


def percent(share: float) -> str:
    """A share in percent without the sign: `54.2`."""
    return f"{100 * share:.1f}"


def p_text(p_value: float) -> str:
    """A p-value for people."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
