"""What the paper on reinforcement mid-training reports: every number of its that a report shows or checks.

Source: Reinforcement Mid-Training, arXiv 2509.24375. RPT stands for its run of arXiv 2506.08007 there.
"""

from typing import NamedTuple

from tasks.report.config import Method

PAPER = "arXiv 2509.24375"
R1, QWEN = "DeepSeek-R1-Distill-Qwen-14B", "Qwen3-14B"
PARTS = ("easy", "medium", "hard", "mean")


class PaperAccuracy(NamedTuple):
    """A row of next-token accuracy, percent; None where the paper gives no number."""

    source: str
    method: Method
    label: str
    model: str
    easy: float | None
    medium: float | None
    hard: float | None
    mean: float
    """Mean of the three tiers."""
    tokens: str = ""
    """Mean length of the reasoning."""


class PaperAfterwards(NamedTuple):
    """A row of accuracy on mathematics after GRPO, percent."""

    source: str
    method: Method
    label: str
    model: str
    accuracy: float


ACCURACY = (
    PaperAccuracy("Table 1", "rpt", "RPT", R1, 48.67, 35.84, 23.03, 35.85, "872"),
    PaperAccuracy("Table 1", "rmt", "RMT", R1, 62.50, 43.96, 34.14, 46.87, "186-188"),
    PaperAccuracy("Table 1", "rmt", "RMT", QWEN, 76.92, 55.79, 44.64, 59.12, "186-188"),
    PaperAccuracy("ablation study", "no-budget", "RMT without budget", R1, None, None, None, 40.24),
    PaperAccuracy("ablation study", "no-curriculum", "RMT without curriculum", R1, None, None, None, 43.22),
    PaperAccuracy("ablation study", "no-ntp", "RMT without NTP", R1, None, None, None, 33.84),
)

AFTERWARDS = (
    PaperAfterwards("Table 2", "rpt", "RPT, then GRPO", R1, 48.50),
    PaperAfterwards("Table 2", "rmt", "RMT, then GRPO", R1, 54.67),
    PaperAfterwards("Table 2", "ntr", "GRPO alone", QWEN, 54.17),
    PaperAfterwards("Table 2", "rmt", "RMT, then GRPO", QWEN, 64.33),
)


def accuracy(method: Method, part: str, model: str = R1) -> float | None:
    """Accuracy that the paper gives for a method on a tier or their `mean`; None where it gives none."""
    return next((getattr(row, part) for row in ACCURACY if (row.method, row.model) == (method, model)), None)


def afterwards(method: Method, model: str) -> float | None:
    """Accuracy after GRPO that the paper gives for a method."""
    return next((row.accuracy for row in AFTERWARDS if (row.method, row.model) == (method, model)), None)
