"""What the paper or a recipe orders, checked one by one: it holds here, it does not, or so few units cannot tell."""

from collections.abc import Iterable, Iterator, Sequence

from tasks.predict.tally import MEAN
from tasks.report.config import Method, ReportConfig
from tasks.report.numbers import paper
from tasks.report.numbers.inputs import ReportInputs
from tasks.report.numbers.statistics import PART_NAMES, compare_accuracy, compare_lengths, trainings_of
from tasks.report.rows import (
    MINUS,
    ONE_TRAINING,
    Claim,
    ClaimSummary,
    ComparisonRow,
    Judged,
    ModelRow,
    PredictionRow,
    Status,
    interval_words,
    percent,
    points,
)
from tasks.shared.statistics.paired import Paired

NAMES: dict[Method, str] = {
    "ntr": "the untrained model",
    "ntp": "next-token training",
    "rpt": "RPT",
    "rmt": "RMT",
    "no-budget": "RMT without budget",
    "no-curriculum": "RMT without curriculum",
    "no-ntp": "RMT without next-token prediction",
    "rollout-sft": "mixed fine-tuning",
}
STATUS: dict[str, Status] = {
    "better": "holds",
    "worse": "does not hold",
    "unclear": "unclear",
    ONE_TRAINING: ONE_TRAINING,
}
OPPOSITE: dict[Judged, Judged] = {"better": "worse", "worse": "better"}

ORDERINGS: tuple[tuple[Method, Method, str], ...] = (
    *(("rmt", "rpt", part) for part in (MEAN, "easy", "medium", "hard")),
    ("rmt", "no-budget", MEAN),
    ("rmt", "no-curriculum", MEAN),
    ("rmt", "no-ntp", MEAN),
    ("no-curriculum", "no-budget", MEAN),
    ("no-budget", "no-ntp", MEAN),
    ("rpt", "no-ntp", MEAN),
)
"""Next-token accuracy with reasoning, where the paper gives numbers of one model for both: higher, lower, part."""
SHORTER = "RMT reasons in fewer tokens than RPT"
AFTERWARDS: tuple[tuple[Method, Method, str], ...] = (("rmt", "rpt", paper.R1), ("rmt", "ntr", paper.QWEN))
"""Accuracy after GRPO: higher, lower, the paper's model."""
METRIC = "pass@1"
NAMED = ("baseline", "candidate", "benchmark", "metric")


def claims(
    inputs: ReportInputs,
    predicted: Sequence[PredictionRow],
    models: Sequence[ModelRow],
    compared: Sequence[ComparisonRow],
) -> ClaimSummary | None:
    """What is claimed of the models of a report; None where nothing is.

    Args:
        predicted: accuracies at all positions; empty for a report of evaluations alone.
        models: scores on the benchmarks.
        compared: comparisons on the same questions.
    """
    if predicted:
        return _of_paper(inputs, predicted, models, compared)
    stated = inputs.config.claims
    checked = [
        claim for entry in stated for claim in _on_questions(entry.text, entry.paper, entry.pair, models, compared)
    ]
    return ClaimSummary(claims=checked) if checked else None


def _of_paper(
    inputs: ReportInputs,
    predicted: Sequence[PredictionRow],
    models: Sequence[ModelRow],
    compared: Sequence[ComparisonRow],
) -> ClaimSummary:
    """The orderings of arXiv 2509.24375 that can be checked, and those that cannot."""
    config = inputs.config
    rows = {row.method: row for row in predicted if row.checkpoint != "rl"}
    lines = {method: inputs.predictions[row.label] for method, row in rows.items()}
    checked: list[Claim] = []
    missing: list[str] = []
    for higher, lower, part in ORDERINGS:
        text = f"{NAMES[higher]} scores above {NAMES[lower]} on {PART_NAMES[part]}"
        if {higher, lower} <= set(rows) and part in rows[higher].reasoning:
            row = compare_accuracy(config, lines[lower], lines[higher], part)
            theirs = _numbers(paper.accuracy(method, part) for method in (higher, lower))
            checked.append(_claim(text, theirs, [rows[method].reasoning[part].mean for method in (higher, lower)], row))
        else:
            missing.append(text)
    lengths = [row.tokens.mean for method in ("rmt", "rpt") if (row := rows.get(method)) and row.tokens]
    if len(lengths) == 2:
        pair = lines["rpt"], lines["rmt"]
        checked.append(_shorter(config, compare_lengths(config, *pair), trainings_of(*pair), *lengths))
    else:
        missing.append(SHORTER)
    label = {entry.method: entry.label for entry in config.evaluated if entry.checkpoint == "rl"}
    for higher, lower, model in AFTERWARDS:
        alone = "GRPO alone" if lower == "ntr" else f"GRPO after {NAMES[lower]}"
        text = f"GRPO after {NAMES[higher]} solves more problems than {alone}"
        theirs = _numbers(paper.afterwards(method, model) for method in (higher, lower))
        after = list(_on_questions(text, theirs, (label.get(lower), label.get(higher)), models, compared))
        checked += after
        missing += [] if after else [text]
    return ClaimSummary(claims=checked, not_run=missing)


def _claim(text: str, theirs: str, ours: Sequence[float], row: ComparisonRow) -> Claim:
    against = " against ".join(percent(value) for value in ours)
    return Claim(
        text=text,
        paper=theirs,
        here=f"Here {against}: {points(row.difference)} points ({interval_words(row)}).",
        status=STATUS[row.verdict],
        gap=row.unseen() if row.verdict == "unclear" else "",
        row=row,
    )


def _shorter(config: ReportConfig, compared: Paired, trainings: int, mine: float, theirs: float) -> Claim:
    judged = ComparisonRow.of(compared, config.confidence, trainings, **dict.fromkeys(NAMED, "")).verdict
    share = f", {mine / theirs:.0%}" if theirs else ""
    reach = f"{compared.low:+.1f} to {compared.high:+.1f} tokens".replace("-", MINUS)
    return Claim(
        text=SHORTER,
        paper="186 to 188 against 872 tokens, 21%",
        here=f"Here {mine:.1f} against {theirs:.1f} tokens{share} "
        f"({config.confidence:.0%} interval of the difference {reach}).",
        # Fewer tokens are what the paper claims.
        status=STATUS[OPPOSITE.get(judged, judged)],
    )


def _numbers(values: Iterable[float | None]) -> str:
    return " against ".join(f"{value:.1f}" for value in values if value is not None)


def _on_questions(
    text: str,
    theirs: str,
    pair: tuple[str | None, str | None],
    models: Sequence[ModelRow],
    compared: Sequence[ComparisonRow],
) -> Iterator[Claim]:
    """One claim a benchmark, where the two labels, the lower one first, were evaluated and compared."""
    means = {(row.label, row.benchmark): row.metrics[METRIC].mean for row in models}
    for row in compared:
        if (row.baseline, row.candidate, row.metric) == (*pair, METRIC):
            ours = [means[label, row.benchmark] for label in (row.candidate, row.baseline)]
            yield _claim(f"{text} ({METRIC} on {row.benchmark})", theirs, ours, row)
