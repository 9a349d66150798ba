"""Right by accident: how often wrong chains of the same samples would hit a gold answer that is not theirs.

A chain that computes nothing still ends in some number, and small ones (0, 1, 2) are the gold of many questions. The
answers of wrong, whole samples show what such chains end in. An answer drawn from them and a question drawn from all
others than the one it was written for agree with the chance

    rate = sum over wrong answers a of #(other questions with gold a) / (questions - 1) / #(wrong answers)

computed from counts, nothing is drawn. Answers are compared by their canonical form. If all chains with an answer were
such chains, rate * answered of them would be right: the share of the right ones that accident explains, an upper bound.
The estimate knows nothing of the numbers in a question, which wrong answers take more often than others. Ours.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tasks.shared.statistics.clustered import clustered_draws, clustered_mean
from tasks.shared.tables.parquet import Row
from tasks.shared.verification.forms import canonical

CONFIDENCE = 0.95
RESAMPLES = 1_000
"""Bootstrap draws of questions. Ours."""


@dataclass
class _Counts:
    """Whole samples of a question with an answer."""

    right: int = 0
    wrong: Counter[str] = field(default_factory=Counter)
    """Counts by canonical answer."""


@dataclass(frozen=True)
class AccidentEstimate:
    """How much of what is right accident explains."""

    answered: int
    right: int
    """Samples that the verifier judged right, those that run on too."""
    wrong: int
    """Wrong answers that the rate rests on."""
    rate: float | None = None
    """None without a wrong answer, or with a single question."""
    expected: float | None = None
    """Right samples by accident, if all with an answer were: rate * answered."""
    share: float | None = None
    """Expected over right samples, at most 1; None without a right one."""
    share_low: float | None = None
    share_high: float | None = None
    """Bounds of the 95 % bootstrap interval over questions."""

    def summary(self) -> dict[str, Any]:
        """Fields for a manifest, rounded."""
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in asdict(self).items()}

    def __str__(self) -> str:
        if self.rate is None:
            return "no estimate"
        text = f"{self.expected:.1f} of {self.right} right, as {100 * self.rate:.2g} % of wrong answers hit a gold"
        if self.share is None or self.share_low is None or self.share_high is None:
            return text
        return f"{text} ({100 * self.share:.0f} %, 95 %: {100 * self.share_low:.0f} to {100 * self.share_high:.0f} %)"


class Accidents:
    """Counts of all samples, by heuristic and question."""

    def __init__(self, gold: Mapping[str, str], samples: Iterable[Row]) -> None:
        """Samples have question_id, heuristic, verdict, extracted and truncated.

        Args:
            gold: answer by question id, of more questions than were asked, perhaps.
        """
        self._counts: dict[str, dict[str, _Counts]] = defaultdict(lambda: defaultdict(_Counts))
        self._gold: dict[str, str] = {}
        for row in samples:
            question = row["question_id"]
            self._gold.setdefault(question, canonical(gold[question]))
            counts = self._counts[row["heuristic"]][question]
            if row["truncated"] or row["extracted"] is None:
                continue
            if row["verdict"] == "correct":
                counts.right += 1
            elif row["verdict"] == "wrong":
                counts.wrong[canonical(row["extracted"])] += 1
        self._golds = Counter(self._gold.values())
        self._all = self._together()
        self._wrong: Counter[str] = Counter()
        for counts in self._all.values():
            self._wrong.update(counts.wrong)

    def chance(self, question: str) -> float:
        """Chance of a wrong answer to another question to be this one's gold, as if one more had been seen that is:
        a few wrong answers do not make a gold unlikely."""
        gold, own = self._gold[question], self._all[question].wrong
        return (self._wrong[gold] - own[gold] + 1) / (self._wrong.total() - own.total() + 1)

    def estimate(self, heuristic: str | None = None) -> AccidentEstimate:
        """The estimate for one heuristic, or for all samples."""
        counts = self._all if heuristic is None else self._counts[heuristic]
        hits = np.array([self._hits(question, item.wrong) for question, item in counts.items()])
        wrong = np.array([float(item.wrong.total()) for item in counts.values()])
        right = np.array([float(item.right) for item in counts.values()])
        answered = right + wrong
        totals = (int(answered.sum()), int(right.sum()), int(wrong.sum()))
        if not wrong.sum() or len(self._gold) < 2:
            return AccidentEstimate(*totals)
        rate = float(hits.sum() / wrong.sum())
        expected = rate * totals[0]
        if not right.sum():
            return AccidentEstimate(*totals, rate, expected)
        interval = _interval(hits, wrong, right, answered)
        return AccidentEstimate(*totals, rate, expected, min(1.0, expected / totals[1]), *interval)

    def _together(self) -> dict[str, _Counts]:
        whole: dict[str, _Counts] = defaultdict(_Counts)
        for questions in self._counts.values():
            for question, counts in questions.items():
                whole[question].right += counts.right
                whole[question].wrong += counts.wrong
        return whole

    def _hits(self, question: str, wrong: Counter[str]) -> float:
        """Expected number of a question's wrong answers that hit the gold of a random other question."""
        own = self._gold[question]
        others = max(1, len(self._gold) - 1)
        return sum(count * (self._golds[answer] - (answer == own)) for answer, count in wrong.items()) / others


def _interval(
    hits: NDArray[np.float64], wrong: NDArray[np.float64], right: NDArray[np.float64], answered: NDArray[np.float64]
) -> tuple[float, float]:
    """Bounds of the share, of rate and share of right answers drawn together: the same seed draws the same questions.

    Where no wrong answer hits any gold, the bootstrap would claim certainty, and the rate's exact bound stands in.
    """
    settings = {"resamples": RESAMPLES, "seed": 0}
    if not hits.any():
        rate = clustered_mean(hits, wrong, confidence=CONFIDENCE, **settings)
        return 0.0, min(1.0, rate.high * float(answered.sum() / right.sum()))
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = clustered_draws(hits, wrong, **settings) / clustered_draws(right, answered, **settings)
    tail = (1.0 - CONFIDENCE) / 2.0
    low, high = np.nanquantile(np.minimum(shares, 1.0), [tail, 1.0 - tail])
    return float(low), float(high)
