"""The smallest difference that an evaluation can show, from its numbers of questions, samples and trainings alone.

Miller 2024 (arXiv 2411.00640, section 5): on the same questions the true difference of two models varies from question
to question, and each sample adds the noise of a coin. Both variances are assumed as in the paper's example, and the
spread of trainings on top; a report computes the same from the run's own answers, beside every comparison.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

from tasks.evaluate.config import EvaluateConfig
from tasks.questions.estimate import count
from tasks.recipe.base import Recipe
from tasks.spine.stage.plan import PlannedStage

BETWEEN_QUESTIONS = 1 / 9
"""Variance over questions of the true difference of two models (Miller's example)."""
WITHIN_QUESTION = 1 / 6
"""Mean variance of one sample, where chances of being solved are spread evenly from 0 to 1 (Miller's example)."""
BETWEEN_TRAININGS = 0.01
"""Standard deviation of the score over trainings that differ in their seed alone, a share. Ours."""
POWER = 0.8


@dataclass(frozen=True)
class Detectable:
    """What pass@1 on one benchmark can tell of two models."""

    benchmark: str
    questions: int
    samples: int
    trainings: int
    points: float
    """Smallest true difference that is found with 80 % power, percentage points."""

    @property
    def text(self) -> str:
        """One line of a plan."""
        trained = f"{self.trainings} training{'s' if self.trainings > 1 else ''} a side"
        alone = "; one training orders nothing" if self.trainings == 1 else ""
        return (
            f"{self.benchmark}: {self.questions:,} questions x {self.samples} samples, {trained}: differences in "
            f"pass@1 below about {self.points:.1f} points would often go unseen{alone}"
        )


def smallest_effect(questions: int, samples: int, trainings: int, *, alpha: float) -> float:
    """Smallest true difference in pass@1, a share, that a paired test at `alpha` finds with 80 % power."""
    normal = NormalDist()
    z = normal.inv_cdf(1 - alpha / 2) + normal.inv_cdf(POWER)
    of_questions = (BETWEEN_QUESTIONS + 2 * WITHIN_QUESTION / (samples * trainings)) / questions
    return z * math.sqrt(of_questions + 2 * BETWEEN_TRAININGS**2 / trainings)


def planned_effects(rows: Iterable[PlannedStage]) -> list[Detectable]:
    """What the evaluations of a plan can tell of two models; nothing where fewer than two would be compared."""
    measured = [row for row in rows if isinstance(row.config, EvaluateConfig) and isinstance(row.context, Recipe)]
    seeds: dict[str, set[int]] = {}
    for row in measured:
        seeds.setdefault(row.arm, set()).add(row.context.seed)
    if len({row.ref for row in measured}) < 2:
        return []
    return list(effects(measured[-1].config, min(map(len, seeds.values()))))


def effects(config: EvaluateConfig, trainings: int) -> Iterator[Detectable]:
    """The smallest difference on each benchmark; a set of unknown size is left out, as the estimate says so itself."""
    # Holm's correction asks this much of the first of several benchmarks.
    alpha = (1 - config.confidence) / len(config.benchmarks)
    for name in config.benchmarks:
        try:
            questions = count(config.questions(name), "evaluate")
        except ValueError:
            continue
        effect = smallest_effect(questions, config.samples, trainings, alpha=alpha)
        yield Detectable(name, questions, config.samples, trainings, 100 * effect)
