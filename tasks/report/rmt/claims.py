"""What the paper orders, checked one by one: it holds here, it does not, or so many documents cannot tell."""

from collections.abc import Iterator
from dataclasses import dataclass

from tasks.predict.tally import MEAN
from tasks.report.rmt import paper
from tasks.report.rmt.config import Method
from tasks.report.rmt.material import Line, RMTMaterial
from tasks.report.rmt.statistics import PART_NAMES, compare, compare_lengths
from tasks.report.rmt.summary import Claim, Status
from tasks.report.summary import ComparisonRow, ReportSummary, interval_words, percent, points
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
STATUS: dict[str, Status] = {"better": "holds", "worse": "does not hold", "unclear": "unclear"}


@dataclass(frozen=True)
class Ordering:
    """`higher` scores above `lower` in the paper."""

    higher: Method
    lower: Method
    part: str = MEAN


ORDERINGS = (
    *(Ordering("rmt", "rpt", part) for part in (MEAN, "easy", "medium", "hard")),
    *(Ordering("rmt", ablation) for ablation in ("no-budget", "no-curriculum", "no-ntp")),
    Ordering("no-curriculum", "no-budget"),
    Ordering("no-budget", "no-ntp"),
    Ordering("rpt", "no-ntp"),
)
"""Of next-token accuracy with reasoning, where the paper gives numbers of one model for both."""
AFTERWARDS: tuple[tuple[Method, Method, str], ...] = (("rmt", "rpt", paper.R1), ("rmt", "ntr", paper.QWEN))
"""Of accuracy after GRPO: higher, lower, the paper's model."""
METRIC = "pass@1"


def claims(material: RMTMaterial, afterwards: ReportSummary | None) -> tuple[list[Claim], list[str]]:
    """The claims that can be checked, and the orderings that need checkpoints which were not measured."""
    lines = {line.entry.method: line for line in material.lines.values() if line.entry.checkpoint != "rl"}
    found: list[Claim] = []
    missing: list[str] = []
    for ordering in ORDERINGS:
        text = f"{NAMES[ordering.higher]} scores above {NAMES[ordering.lower]} on {PART_NAMES[ordering.part]}"
        if {ordering.higher, ordering.lower} <= set(lines) and ordering.part in lines[ordering.higher].tally.parts:
            found.append(_accuracy(material, lines, ordering, text))
        else:
            missing.append(text)
    text = "RMT reasons in fewer tokens than RPT"
    if {"rmt", "rpt"} <= set(lines) and MEAN in lines["rmt"].tally.parts:
        found.append(_shorter(material, lines["rpt"], lines["rmt"], text))
    else:
        missing.append(text)
    for higher, lower, model in AFTERWARDS:
        rows = list(_after(material, afterwards, higher, lower, model))
        found += rows
        if not rows:
            missing.append(_after_text(higher, lower))
    return found, missing


def _accuracy(material: RMTMaterial, lines: dict[Method, Line], ordering: Ordering, text: str) -> Claim:
    higher, lower = lines[ordering.higher], lines[ordering.lower]
    row = compare(material.config, lower, higher, ordering.part)
    theirs = [paper.accuracy(method, ordering.part) for method in (ordering.higher, ordering.lower)]
    ours = [_mean(line, ordering.part) for line in (higher, lower)]
    return _claim(text, theirs, ours, row)


def _claim(text: str, theirs: list[float | None], ours: list[float], row: ComparisonRow) -> Claim:
    against = " against ".join(percent(value) for value in ours)
    gap = ""
    if row.verdict == "unclear" and row.minimum_detectable is not None:
        gap = f" Differences below about {100 * row.minimum_detectable:.1f} points would often go unseen."
    return Claim(
        text=text,
        paper=" against ".join(f"{value:.1f}" for value in theirs if value is not None),
        here=f"Here {against}: {points(row.difference)} points ({interval_words(row)}).",
        status=STATUS[row.verdict],
        gap=gap,
    )


def _mean(line: Line, part: str) -> float:
    columns = line.tally.columns(part)
    totals = line.tally.weights[:, columns].sum(axis=0)
    return float((line.right("reasoning", "exact")[:, columns].sum(axis=0) / totals).mean())


def _length(line: Line) -> float:
    return float((line.lengths().sum(axis=0) / line.tally.weights.sum(axis=0)).mean())


def _shorter(material: RMTMaterial, rpt: Line, rmt: Line, text: str) -> Claim:
    result: Paired = compare_lengths(material.config, rpt, rmt, MEAN)
    row = ComparisonRow(
        baseline=rpt.label,
        candidate=rmt.label,
        benchmark=PART_NAMES[MEAN],
        metric="tokens",
        difference=-result.difference,
        low=-result.high,
        high=-result.low,
        p_value=result.p_value,
        minimum_detectable=None,
        confidence=material.config.confidence,
    )
    mine, theirs = _length(rmt), _length(rpt)
    share = f", {mine / theirs:.0%}" if theirs else ""
    reach = f"{result.low:+.1f} to {result.high:+.1f} tokens".replace("-", "\N{MINUS SIGN}")
    return Claim(
        text=text,
        paper="186 to 188 against 872 tokens, 21%",
        here=f"Here {mine:.1f} against {theirs:.1f} tokens{share} "
        f"({material.config.confidence:.0%} interval of the difference {reach}).",
        status=STATUS[row.verdict],
    )


def _after_text(higher: Method, lower: Method) -> str:
    if lower == "ntr":
        return f"GRPO after {NAMES[higher]} solves more problems than GRPO alone"
    return f"GRPO after {NAMES[higher]} solves more problems than GRPO after {NAMES[lower]}"


def _after(
    material: RMTMaterial, afterwards: ReportSummary | None, higher: Method, lower: Method, model: str
) -> Iterator[Claim]:
    """One claim a benchmark, where the two were evaluated after GRPO and compared."""
    label = {entry.method: entry.label for entry in material.config.evaluated if entry.checkpoint == "rl"}
    if afterwards is None or not {higher, lower} <= set(label):
        return
    for row in afterwards.comparisons:
        if (row.baseline, row.candidate, row.metric) == (label[lower], label[higher], METRIC):
            means = {
                model.label: model.metrics[METRIC].mean
                for model in afterwards.models
                if model.benchmark == row.benchmark
            }
            theirs = [paper.afterwards(method, model) for method in (higher, lower)]
            ours = [means[label[higher]], means[label[lower]]]
            yield _claim(f"{_after_text(higher, lower)} ({METRIC} on {row.benchmark})", theirs, ours, row)
