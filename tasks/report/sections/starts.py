"""What could be known before RL was paid for, beside what the training then met."""

from collections.abc import Sequence

from tasks.report.blocks import PAGE, Block, Column, Paragraph, Table, estimate
from tasks.report.rows import Metric, percent
from tasks.report.sections.differences import optional
from tasks.report.summary import ReportSummary
from tasks.report.training_rows import StartRow

TITLE = "Before RL"
CAPTION = (
    "The model that each training starts from, on the questions of the benchmark. “solved” is the percentage of "
    "questions with a right one among the samples; “below p*” of those whose share of right samples is less than "
    "p*(G) = 1 - 0.5^(1/G), so that a group of G rollouts more likely than not has no right one. Groups whose "
    "rollouts have one reward teach GRPO nothing: “expected” is their share by these samples (overstated where a group "
    "has more rollouts than a question has samples), “met” their mean share on the training's curve, on its own "
    "questions. “likelihood” is what the model gives to right solutions of questions that it was not trained on "
    "(evaluate.solutions), nats a token. “entropy” is that of the policy on the rollouts that move it, nats a token, "
    "at the first and at the last step."
)


def before_rl(summary: ReportSummary) -> list[Block]:
    """A row for each training and benchmark."""
    rows = summary.starts
    if not rows:
        return []
    seeds = len({row.seed for row in rows}) > 1
    columns = [
        Column("training", lambda row: f"{row.label}, seed {row.seed}" if seeds else row.label),
        Column("starts from", lambda row: row.start, media=PAGE),
        Column("benchmark", lambda row: row.benchmark),
        Column("solved", lambda row: percent(row.solved), True),
        Column("below p*", lambda row: estimate(row.seldom), True, PAGE),
        Column("expected", lambda row: estimate(row.expected), True),
        Column("met", lambda row: optional(row.seen), True),
        Column("likelihood", lambda row: _nats(row.likelihood), True, PAGE),
        Column("entropy", lambda row: _from_to(row.first_entropy, row.last_entropy), True, PAGE),
    ]
    title = f"{TITLE}: percent of groups of {_sizes(rows)} without an advantage"
    return [Paragraph(TITLE, "title"), Table.of(title, rows, columns), Paragraph(CAPTION, "caption")]


def _sizes(rows: Sequence[StartRow]) -> str:
    return " or ".join(map(str, sorted({row.group_size for row in rows})))


def _from_to(first: float | None, last: float | None) -> str | None:
    return None if first is None or last is None else f"{first:.2f} → {last:.2f}"


def _nats(value: Metric | None) -> str | None:
    return None if value is None else f"{value.mean:.3f} [{value.low:.3f}, {value.high:.3f}]"
