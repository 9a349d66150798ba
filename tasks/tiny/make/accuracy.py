"""Answers of the small world's models and how often they are right: what every measurement of a model counts with."""

import math
import re
from collections.abc import Sequence as Rows

ANSWER_LINE = re.compile(r"#### (-?\d+)\s*$")
SEED = 0
"""Seed of the problems and of the samples of every measurement."""


def answer_of(completion: str) -> str | None:
    """The integer on the last line `#### 42`, or None when the completion does not end with one."""
    match = ANSWER_LINE.search(completion)
    return match.group(1) if match else None


def pass_at(k: int, drawn: int, correct: int) -> float:
    """Unbiased pass@k from `drawn` samples of which `correct` are right (arXiv 2107.03374, equation 1)."""
    return 1.0 - math.comb(drawn - correct, k) / math.comb(drawn, k)


def mean_and_error(values: Rows[float]) -> tuple[float, float]:
    """Mean over questions and its standard error, both in percent."""
    mean = sum(values) / len(values)
    spread = math.sqrt(sum((v - mean) ** 2 for v in values) / max(1, len(values) - 1) / len(values))
    return round(100 * mean, 1), round(100 * spread, 1)
