"""Several trainings: intervals and verdicts hold their luck, by simulation of trainings that differ in nothing else."""

from collections.abc import Sequence

import numpy as np
import pytest

from tasks.shared.statistics.bootstrap import bootstrap_draws, bootstrap_mean
from tasks.shared.statistics.clustered import clustered_mean, compare_clustered
from tasks.shared.statistics.paired import Paired, compare_paired
from tasks.shared.statistics.trainings import training_luck

SETTINGS = {"confidence": 0.95, "resamples": 400}
RUNS, QUESTIONS, SAMPLES = 150, 100, 8

Scores = list[np.ndarray]


def trained(random: np.random.Generator, difficulty: np.ndarray, trainings: int, luck: float) -> Scores:
    """Shares of right samples of each question, for trainings whose skill differs by luck alone."""
    skill = random.normal(0, luck, trainings)
    return [random.binomial(SAMPLES, np.clip(difficulty + one, 0, 1)) / SAMPLES for one in skill]


def means(side: Scores) -> list[float]:
    return [float(scores.mean()) for scores in side]


def ordered(found: Paired) -> bool:
    """Whether a report would call one of the two higher."""
    return not found.low <= 0 <= found.high and found.p_value <= 0.05


@pytest.mark.parametrize(("trainings", "luck"), [(3, 0.03), (5, 0.03), (3, 0.1)])
def test_equal_methods_are_rarely_ordered_where_trainings_differ_by_luck(trainings: int, luck: float) -> None:
    random = np.random.default_rng(0)
    wrong, wrong_without, covered = 0, 0, 0
    for run in range(RUNS):
        difficulty = random.beta(1, 1, QUESTIONS)
        sides = [trained(random, difficulty, trainings, luck) for _ in range(2)]
        a, b = (np.mean(side, axis=0) for side in sides)
        wrong += ordered(compare_paired(a, b, seed=run, trainings=(means(sides[0]), means(sides[1])), **SETTINGS))
        low, high = np.quantile(bootstrap_draws(b - a, resamples=400, seed=run), [0.025, 0.975])
        wrong_without += not low <= 0 <= high
        interval = bootstrap_mean(a, seed=run, trainings=means(sides[0]), **SETTINGS)
        covered += interval.low <= 0.5 <= interval.high
    assert wrong / RUNS <= 0.05
    # What leaving them out would do: orderings of nothing.
    assert wrong_without / RUNS > 0.2
    assert covered / RUNS >= 0.93


def test_a_difference_beyond_the_luck_is_found() -> None:
    random = np.random.default_rng(1)
    found = 0
    for run in range(100):
        difficulty = random.uniform(0.2, 0.7, QUESTIONS)
        sides = [trained(random, difficulty + gain, 3, 0.02) for gain in (0.0, 0.15)]
        a, b = (np.mean(side, axis=0) for side in sides)
        found += ordered(compare_paired(a, b, seed=run, trainings=(means(sides[0]), means(sides[1])), **SETTINGS))
    assert found >= 80


def test_documents_get_the_same_level() -> None:
    random = np.random.default_rng(2)
    weights = random.integers(1, 6, size=(60, 3)).astype(float)
    wrong = 0
    for run in range(RUNS):
        sides = []
        for _ in range(2):
            skill = 0.5 + random.normal(0, 0.05, 3)
            sides.append([random.binomial(weights.astype(int), one).astype(float) for one in skill])
        a, b = (np.mean(side, axis=0) for side in sides)
        trainings = tuple([score(one, weights) for one in side] for side in sides)
        wrong += ordered(compare_clustered(a, b, weights, seed=run, trainings=(trainings[0], trainings[1]), **SETTINGS))
    assert wrong / RUNS <= 0.05


def score(sums: np.ndarray, weights: np.ndarray) -> float:
    return float((sums.sum(axis=0) / weights.sum(axis=0)).mean())


@pytest.mark.parametrize("scores", [(), (0.4,), (0.4, 0.4, 0.4)], ids=["none", "one", "equal"])
def test_one_training_or_none_adds_nothing(scores: Sequence[float]) -> None:
    """Nothing shows its luck; that no ordering is called then is the report's to see to."""
    luck = training_luck(scores, resamples=100, seed=0)
    assert not luck.is_known
    assert not luck.draws.any()
    values = np.random.default_rng(3).random(30)
    assert bootstrap_mean(values, seed=0, trainings=scores, **SETTINGS) == bootstrap_mean(values, seed=0, **SETTINGS)


def test_intervals_of_shares_stay_among_shares() -> None:
    values, weights = np.array([0.0, 1.0, 0.0, 1.0]), np.ones((4, 1))
    for found in (
        bootstrap_mean(values, seed=0, trainings=(0.1, 0.9), **SETTINGS),
        clustered_mean(values[:, None], weights, seed=0, trainings=(0.1, 0.9), **SETTINGS),
    ):
        assert (found.low, found.high) == (0.0, 1.0)


def test_what_could_be_found_counts_trainings_too() -> None:
    random = np.random.default_rng(4)
    a, b = random.random(100), random.random(100)
    alone = compare_paired(a, b, seed=0, **SETTINGS).minimum_detectable
    both = compare_paired(a, b, seed=0, trainings=((0.4, 0.5, 0.6), (0.5, 0.5)), **SETTINGS).minimum_detectable
    assert both == pytest.approx(np.sqrt(alone**2 + (2.801585 * 0.1) ** 2 / 3), rel=1e-4)
