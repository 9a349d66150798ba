"""The rows of a report's tables as plain models, and numbers as people read them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

from pydantic import BaseModel

if TYPE_CHECKING:
    from tasks.shared.statistics.paired import Paired

MINUS = "\N{MINUS SIGN}"
MUCH_LOST = 0.05
"""Share of completions that are cut, or without an answer or a prediction, above which it is said."""
CLEAN = "clean pass@1"
"""Name of the score on questions that no training question shares text with."""
ACCURACY = "next-token accuracy"
"""Metric of comparisons at the same positions; all others are on the same questions."""

Share = float | None
Judged = Literal["better", "worse", "unclear", "one training"]
ONE_TRAINING: Judged = "one training"
Status = Literal["does not hold", "unclear", "one training", "holds"]
"""What does not replicate comes first."""


class Metric(BaseModel):
    """A share, or a number of tokens, with its interval over questions or documents and trainings."""

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
    """`greedy`, `pass@k` and `maj@k` for every k, `best@k` where a reward model chose."""
    headline: list[str]
    """Metrics of the main table."""
    overlapping: int = 0
    """Questions that some training question shares text with."""
    clean: Metric | None = None
    """pass@1 on the other questions; None where all are such, or none is."""
    mean_tokens: float | None = None
    truncated_share: float | None = None
    unparsed_share: float | None = None
    empty_share: float | None = None
    asked: str = ""
    """How the model was asked, in words."""


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
    """Tokens that the prompt asked for; 0 for none."""
    no_prediction_share: float
    truncated_share: float
    asked: str = ""
    """How the model was asked, in words."""


class ComparisonRow(BaseModel):
    """Candidate minus baseline, paired by question or position; a share, 1 being 100 points."""

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
    trainings: int = 0
    """Trainings of the side that has the fewest; 0 where neither was trained."""
    adjusted_p: float | None = None
    """The p-value by Holm's correction over the benchmarks of this pair and metric; None for a single benchmark."""

    @classmethod
    def of(cls, result: "Paired", confidence: float, trainings: int, **names: str) -> "ComparisonRow":
        """A row of what a paired comparison found; `names` are baseline, candidate, benchmark and metric."""
        return cls(
            **names,
            trainings=trainings,
            difference=result.difference,
            low=result.low,
            high=result.high,
            p_value=result.p_value,
            # NaN where there are too few questions to tell.
            minimum_detectable=result.minimum_detectable if 0 < result.minimum_detectable < float("inf") else None,
            confidence=confidence,
        )

    @property
    def verdict(self) -> Judged:
        """What interval, test and the number of trainings together allow to say.

        One training shows no luck of training, so it orders nothing, however far apart two models are.
        """
        if self.low <= 0 <= self.high or (self.adjusted_p or self.p_value) > 1 - self.confidence:
            return "unclear"
        if self.trainings == 1:
            return ONE_TRAINING
        return "better" if self.low > 0 else "worse"

    @property
    def sentence(self) -> str:
        """The comparison in plain words."""
        what = f"{self.metric} on {self.benchmark}"
        numbers = f"{points(self.difference)} points ({interval_words(self)})."
        if self.verdict == "unclear":
            return (
                f"No significant difference between {self.candidate} and {self.baseline} in {what}: {numbers}"
                + self.unseen(" here")
            )
        direction = "higher" if self.low > 0 else "lower"
        if self.verdict == ONE_TRAINING:
            return (
                f"One training: {self.candidate} scored {direction} than {self.baseline} in {what}: {numbers} Other "
                "seeds may differ by more than this interval says."
            )
        return f"{self.candidate} scores {direction} than {self.baseline} in {what}: {numbers}"

    def unseen(self, where: str = "") -> str:
        """What size of difference so many questions would miss, in a sentence; empty where that is unknown."""
        if self.minimum_detectable is None:
            return ""
        return f" Differences below about {100 * self.minimum_detectable:.1f} points would often go unseen{where}."


class Claim(BaseModel):
    """Two models that the paper or the recipe orders, and what came out here."""

    text: str
    """What is claimed, as a sentence without its full stop."""
    paper: str
    """The paper's numbers; empty where there are none."""
    here: str
    """Ours, with interval and test."""
    status: Status
    gap: str = ""
    """For an unclear one: what size of difference would often go unseen."""
    row: ComparisonRow | None = None
    """The difference that decided; None where it is one of lengths."""

    @property
    def rest(self) -> str:
        """The claim in plain words, with both numbers."""
        theirs = f" (paper: {self.paper})" if self.paper else ""
        return f"{self.text}{theirs}. {self.here}{self.gap}"


class ClaimSummary(BaseModel):
    """Everything that is claimed of the models of a report."""

    claims: list[Claim]
    not_run: list[str] = []
    """Claims about checkpoints that were not measured, or not compared."""

    @property
    def in_order(self) -> list[Claim]:
        """What does not hold first."""
        return sorted(self.claims, key=lambda claim: get_args(Status).index(claim.status))

    @property
    def headline(self) -> str:
        """How many of the claims came out, in one sentence."""
        counts = {status: sum(claim.status == status for claim in self.claims) for status in get_args(Status)}
        told = [f"not holding here: {counts['does not hold']}", f"holding: {counts['holds']}"]
        told += [f"unclear: {counts['unclear']}", f"resting on one training: {counts['one training']}"]
        return f"{len(self.claims)} claims were checked; {', '.join(told)}."


def asked_words(summary: Mapping[str, Any]) -> str:
    """How a model was asked, from the summary of its evaluation or prediction; empty for one that does not say."""
    if not (asked := summary.get("asked")):
        return ""
    examples = f" with the examples of {asked['few_shot']}" if asked.get("few_shot") else ""
    return (
        f"Prompts of style {asked['prompt_style']}{examples}, at most {asked['max_new_tokens']:,} new tokens, "
        f"samples at temperature {asked['temperature']:g}"
    )


def asked_of(rows: Sequence[ModelRow] | Sequence[PredictionRow]) -> str:
    """How the models of a table were asked: one line for all, or what holds for each."""
    said = dict.fromkeys(row.asked for row in rows)
    if len(said) == 1:
        return next(iter(said))
    return "; ".join(f"{row.label}: {row.asked or 'unknown'}" for row in rows)


def lost_share_warnings(
    where: str, *, truncated: Share, unread: Share, empty: Share = None, what: str = "have no readable answer"
) -> Iterator[str]:
    """What to say of completions that were cut or cannot be read, where they are more than a few."""
    ended = "are empty, the model ends at once (see whether prompt.style is the form it knows)"
    for share, fate in ((truncated, "were cut at the token limit"), (empty, ended), (unread, what)):
        if share is not None and share > MUCH_LOST:
            yield f"{where}: {percent(share)} % of the completions {fate}; they count as wrong."


def interval_words(row: ComparisonRow) -> str:
    """Interval and p-value of a comparison, for a sentence."""
    corrected = "" if row.adjusted_p is None else f", corrected {p_text(row.adjusted_p)}"
    text = f"{row.confidence:.0%} interval {points(row.low)} to {points(row.high)}, {p_text(row.p_value)}{corrected}"
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
