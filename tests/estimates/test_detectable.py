"""What an evaluation can show, before it is run: against simulation, and in the plan of a comparison."""

import numpy as np
import pytest

from flows.compare import outline, run_comparison
from tasks.estimates.detectable import (
    BETWEEN_QUESTIONS,
    BETWEEN_TRAININGS,
    WITHIN_QUESTION,
    effects,
    planned_effects,
    smallest_effect,
)
from tasks.evaluate.config import EvaluateConfig
from tasks.shared.statistics.paired import sign_flip_test
from tasks.spine.stage.plan import planning


def test_the_published_example_comes_out() -> None:
    """Miller 2024, section 5: 3 points need 969 questions where samples bring no noise; then samples and trainings."""
    assert smallest_effect(969, 10**9, 10**9, alpha=0.05) == pytest.approx(0.03, abs=1e-4)
    by_hand = 2.8016 * np.sqrt((1 / 9 + 2 / 6 / (8 * 3)) / 500 + 2 * 0.01**2 / 3)
    assert smallest_effect(500, 8, 3, alpha=0.05) == pytest.approx(by_hand, rel=1e-4)


def test_what_it_names_is_found_four_times_in_five() -> None:
    """The report's own test decides, on differences that vary as it assumes."""
    questions, samples, runs = 150, 4, 150
    effect = smallest_effect(questions, samples, 1, alpha=0.05)
    random = np.random.default_rng(0)
    spread = np.sqrt(BETWEEN_QUESTIONS + 2 * WITHIN_QUESTION / samples)
    luck = np.sqrt(2) * BETWEEN_TRAININGS
    found = sum(
        sign_flip_test(random.normal(effect + random.normal(0, luck), spread, questions), resamples=200, seed=run)[0]
        <= 0.05
        for run in range(runs)
    )
    assert 0.72 <= found / runs <= 0.88


def test_more_questions_samples_and_trainings_show_more_and_more_benchmarks_less() -> None:
    least = smallest_effect(500, 8, 1, alpha=0.05)
    assert smallest_effect(1000, 8, 1, alpha=0.05) < least
    assert smallest_effect(500, 64, 1, alpha=0.05) < least
    assert smallest_effect(500, 8, 3, alpha=0.05) < least
    assert smallest_effect(500, 8, 1, alpha=0.05 / 3) > least
    # However many questions there are, the luck of one training stays.
    assert smallest_effect(10**9, 64, 1, alpha=0.05) > 0.03


def test_a_larger_benchmark_shows_less_of_a_difference() -> None:
    small, large = effects(EvaluateConfig(benchmarks=("math500", "gsm8k"), samples=8), 1)
    assert (small.benchmark, small.questions, large.questions) == ("math500", 500, 1_319)
    assert small.points > large.points


@pytest.mark.parametrize("seeds", [(0,), (0, 1, 2)])
def test_a_plan_counts_the_seeds_of_its_arms(seeds: tuple[int, ...]) -> None:
    with planning(None) as plan:
        run_comparison("tiny-cpu", {}, seeds=seeds)
    found = planned_effects(plan.rows)
    assert [effect.trainings for effect in found] == [len(seeds)] * len(found) != []
    assert ("one training orders nothing" in found[0].text) == (len(seeds) == 1)


def test_one_evaluation_compares_nothing() -> None:
    rows = [row for row in outline("tiny-cpu", {}) if row.stage == "evaluate"]
    assert planned_effects(rows[:1]) == []
