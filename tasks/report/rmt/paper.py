"""What the papers report: every number of theirs that a report shows or a claim is checked against.

Source: Reinforcement Mid-Training, arXiv 2509.24375. RPT stands for its run of arXiv 2506.08007 there.
"""

from pydantic import BaseModel

from tasks.report.rmt.config import Method

PAPER = "arXiv 2509.24375"
R1, QWEN = "DeepSeek-R1-Distill-Qwen-14B", "Qwen3-14B"


class PaperAccuracy(BaseModel):
    """A row of next-token accuracy, percent."""

    method: Method
    label: str
    model: str
    easy: float | None = None
    medium: float | None = None
    hard: float | None = None
    mean: float
    """Of the three tiers."""
    tokens: str = ""
    """Mean length of the reasoning."""
    source: str


class PaperAfterwards(BaseModel):
    """A row of accuracy on mathematics after GRPO, percent."""

    method: Method
    label: str
    model: str
    accuracy: float
    source: str


LANGUAGE_MODELLING, ABLATIONS, POST_TRAINING = "Table 1", "ablation study", "Table 2"

ACCURACY = (
    PaperAccuracy(
        method="rpt",
        label="RPT",
        model=R1,
        easy=48.67,
        medium=35.84,
        hard=23.03,
        mean=35.85,
        tokens="872",
        source=LANGUAGE_MODELLING,
    ),
    PaperAccuracy(
        method="rmt",
        label="RMT",
        model=R1,
        easy=62.50,
        medium=43.96,
        hard=34.14,
        mean=46.87,
        tokens="186-188",
        source=LANGUAGE_MODELLING,
    ),
    PaperAccuracy(
        method="rmt",
        label="RMT",
        model=QWEN,
        easy=76.92,
        medium=55.79,
        hard=44.64,
        mean=59.12,
        tokens="186-188",
        source=LANGUAGE_MODELLING,
    ),
    PaperAccuracy(method="no-budget", label="RMT without budget", model=R1, mean=40.24, source=ABLATIONS),
    PaperAccuracy(method="no-curriculum", label="RMT without curriculum", model=R1, mean=43.22, source=ABLATIONS),
    PaperAccuracy(method="no-ntp", label="RMT without NTP", model=R1, mean=33.84, source=ABLATIONS),
)

AFTERWARDS = (
    PaperAfterwards(method="rpt", label="RPT, then GRPO", model=R1, accuracy=48.50, source=POST_TRAINING),
    PaperAfterwards(method="rmt", label="RMT, then GRPO", model=R1, accuracy=54.67, source=POST_TRAINING),
    PaperAfterwards(method="ntr", label="GRPO alone", model=QWEN, accuracy=54.17, source=POST_TRAINING),
    PaperAfterwards(method="rmt", label="RMT, then GRPO", model=QWEN, accuracy=64.33, source=POST_TRAINING),
)


def accuracy(method: Method, part: str, model: str = R1) -> float | None:
    """Accuracy that the paper gives for a method on a tier or their `mean`; None where it gives none."""
    rows = [row for row in ACCURACY if row.method == method and row.model == model]
    return getattr(rows[0], part) if rows else None


def afterwards(method: Method, model: str) -> float | None:
    """Accuracy after GRPO that the paper gives for a method."""
    return next((row.accuracy for row in AFTERWARDS if (row.method, row.model) == (method, model)), None)
