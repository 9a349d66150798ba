"""Intervals and tests do what they promise, shown by simulation where the promise is a frequency."""

import math
from itertools import product

import numpy as np
import pytest

from tasks.shared.statistics.bootstrap import bootstrap_draws, bootstrap_mean, mean_over_seeds, seed_spread
from tasks.shared.statistics.paired import compare_paired, holm, minimum_detectable_effect, sign_flip_test
from tasks.shared.statistics.passk import pass_at_k

SETTINGS = {"confidence": 0.95, "resamples": 2_000, "seed": 0}


def drawn_questions(random: np.random.Generator, questions: int, samples: int) -> np.ndarray:
    """pass@1 of questions of very different difficulty (Beta(0.5, 0.5): mean 0.5), sampled `samples` times each."""
    return random.binomial(samples, random.beta(0.5, 0.5, questions)) / samples


@pytest.mark.parametrize(
    ("runs", "least", "most"),
    [
        # Three standard errors of the share around 0.95, and the percentile interval's known small deficit.
        (150, 0.89, 0.99),
        pytest.param(1_000, 0.925, 0.971, marks=pytest.mark.long(reason="a thousand simulated evaluations")),
    ],
)
def test_95_percent_interval_covers_95_percent(runs: int, least: float, most: float) -> None:
    random = np.random.default_rng(1)
    intervals = [
        bootstrap_mean(drawn_questions(random, 120, 8), confidence=0.95, resamples=600, seed=run) for run in range(runs)
    ]
    covered = sum(interval.low <= 0.5 <= interval.high for interval in intervals) / runs
    assert least <= covered <= most


def test_resampling_samples_instead_of_questions_would_not_cover() -> None:
    """The same simulation with 8 samples of a question taken as 8 questions: the mistake that clustering avoids."""
    random = np.random.default_rng(2)
    covered, runs = 0, 200
    for run in range(runs):
        rates = drawn_questions(random, 60, 8)
        single = np.concatenate([np.arange(8) < round(rate * 8) for rate in rates])
        interval = bootstrap_mean(single, confidence=0.95, resamples=400, seed=run)
        covered += interval.low <= 0.5 <= interval.high
    assert covered / runs < 0.8


def test_interval_is_that_of_the_normal_theory_on_many_questions() -> None:
    values = drawn_questions(np.random.default_rng(3), 2_000, 4)
    interval = bootstrap_mean(values, confidence=0.9, resamples=8_000, seed=5)
    reach = 1.645 * values.std(ddof=1) / math.sqrt(values.size)
    assert interval.mean == pytest.approx(values.mean())
    assert interval.low == pytest.approx(values.mean() - reach, abs=0.002)
    assert interval.high == pytest.approx(values.mean() + reach, abs=0.002)


def test_same_seed_same_interval() -> None:
    values = drawn_questions(np.random.default_rng(4), 50, 8)
    assert bootstrap_mean(values, **SETTINGS) == bootstrap_mean(list(values), **SETTINGS)
    assert bootstrap_mean(values, **SETTINGS) != bootstrap_mean(values, **(SETTINGS | {"seed": 1}))


def test_large_sets_are_drawn_in_pieces_that_do_not_change_the_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    values = drawn_questions(np.random.default_rng(4), 50, 8)
    whole = bootstrap_draws(values, resamples=100, seed=3)
    monkeypatch.setattr("tasks.shared.statistics.bootstrap._CHUNK_CELLS", 700)
    np.testing.assert_array_equal(bootstrap_draws(values, resamples=100, seed=3), whole)


@pytest.mark.parametrize(("value", "low", "high"), [(0.0, 0.0, 0.1157), (1.0, 0.8843, 1.0)])
def test_all_wrong_or_all_right_is_not_certainty(value: float, low: float, high: float) -> None:
    interval = bootstrap_mean([value] * 30, **SETTINGS)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


@pytest.mark.parametrize("values", [[], [[0.5]], [0.5, float("nan")]])
def test_refuses_values_that_are_not_one_for_each_question(values: list) -> None:
    with pytest.raises(ValueError, match=r"one value for each question|not finite"):
        bootstrap_mean(values, **SETTINGS)


def test_seeds_are_averaged_within_a_question() -> None:
    np.testing.assert_allclose(mean_over_seeds([[0.0, 1.0], [1.0, 1.0]]), [0.5, 1.0])
    with pytest.raises(ValueError, match="different numbers of questions"):
        mean_over_seeds([[0.0], [1.0, 1.0]])
    assert seed_spread([[0.0, 1.0], [1.0, 1.0]]) == pytest.approx(math.sqrt(0.125))
    assert math.isnan(seed_spread([[0.5]]))


def test_repeating_a_seed_does_not_sharpen_the_interval() -> None:
    values = drawn_questions(np.random.default_rng(6), 50, 8)
    assert bootstrap_mean(mean_over_seeds([values] * 5), **SETTINGS) == bootstrap_mean(values, **SETTINGS)


@pytest.mark.parametrize("scale", [1.0, 1 / 8, 1 / 24])
def test_exact_sign_flip_equals_enumeration(scale: float) -> None:
    random = np.random.default_rng(7)
    for _ in range(20):
        differences = random.integers(-4, 5, size=9) * scale
        patterns = np.array(list(product([-1, 1], repeat=9))) @ np.abs(differences)
        expected = (np.abs(patterns) >= abs(differences.sum()) - 1e-9).mean()
        p_value, exact = sign_flip_test(differences, resamples=10, seed=0)
        assert exact
        assert p_value == pytest.approx(expected)


def test_sampled_sign_flip_comes_close_to_the_exact_one() -> None:
    random = np.random.default_rng(8)
    differences = random.integers(-3, 5, size=40) / 8
    exact, _ = sign_flip_test(differences, resamples=10, seed=0)
    noise = random.uniform(-1e-4, 1e-4, size=40)
    sampled, was_exact = sign_flip_test(differences + noise, resamples=20_000, seed=0)
    assert not was_exact
    assert sampled == pytest.approx(exact, abs=0.02)


def test_values_over_seeds_and_samples_stay_exact() -> None:
    """Three seeds of 32 samples: differences are multiples of 1/96, written in floating point."""
    random = np.random.default_rng(9)
    a, b = (mean_over_seeds(random.binomial(32, 0.5, size=(3, 100)) / 32) for _ in range(2))
    assert compare_paired(a, b, **SETTINGS).exact


def test_no_difference_is_no_evidence() -> None:
    assert sign_flip_test([0.0, 0.0], resamples=10, seed=0) == (1.0, True)
    result = compare_paired([0.5, 1.0], [0.5, 1.0], **SETTINGS)
    assert (result.difference, result.low, result.high, result.p_value) == (0.0, 0.0, 0.0, 1.0)


def mcnemar(a_correct: np.ndarray, b_correct: np.ndarray) -> float:
    """Exact two-sided McNemar test (McNemar 1947), an independent way to the sign-flip test's p on 0/1 answers."""
    only_a, only_b = int((a_correct > b_correct).sum()), int((a_correct < b_correct).sum())
    tail = sum(math.comb(only_a + only_b, i) for i in range(min(only_a, only_b) + 1))
    return min(1.0, 2 * tail / 2 ** (only_a + only_b))


def test_sign_flip_equals_mcnemar_on_greedy_answers() -> None:
    random = np.random.default_rng(10)
    for _ in range(20):
        a, b = random.integers(0, 2, size=(2, 60))
        p_value, _ = sign_flip_test(b - a, resamples=10, seed=0)
        assert mcnemar(a, b) == pytest.approx(p_value)
    ten_against_two = np.array([-1] * 10 + [1] * 2)
    assert sign_flip_test(ten_against_two, resamples=10, seed=0)[0] == pytest.approx(2 * (1 + 12 + 66) / 2**12)


def test_paired_intervals_cover_and_false_positives_are_as_rare_as_promised_and_pairing_finds_what_it_should() -> None:
    random = np.random.default_rng(11)
    rejected, covered = {0.0: 0, 0.08: 0}, 0
    runs = 300
    for effect in rejected:
        for run in range(runs):
            difficulty = random.beta(0.5, 0.5, 100) * (1 - effect)
            a = random.binomial(8, difficulty) / 8
            b = random.binomial(8, difficulty + effect) / 8
            found = compare_paired(a, b, confidence=0.95, resamples=200, seed=run)
            rejected[effect] += found.p_value < 0.05
            covered += found.low <= effect <= found.high
    assert rejected[0.0] / runs < 0.09
    assert rejected[0.08] / runs > 0.9
    assert 0.91 <= covered / (2 * runs) <= 0.98


def test_paired_interval_is_narrower_than_the_unpaired_spread() -> None:
    random = np.random.default_rng(12)
    difficulty = random.beta(0.5, 0.5, 200)
    a, b = random.binomial(16, difficulty) / 16, random.binomial(16, np.minimum(1, difficulty + 0.05)) / 16
    paired = compare_paired(a, b, **SETTINGS)
    alone = bootstrap_mean(a, **SETTINGS)
    assert paired.difference == pytest.approx(b.mean() - a.mean())
    assert paired.low < paired.difference < paired.high
    assert paired.high - paired.low < 0.6 * (alone.high - alone.low)


def test_minimum_detectable_effect_is_found_four_times_in_five() -> None:
    random = np.random.default_rng(13)
    spread = random.normal(0.0, 0.3, 100)
    effect = minimum_detectable_effect(spread)
    assert effect == pytest.approx(2.8016 * spread.std(ddof=1) / 10, rel=1e-4)
    found = sum(
        sign_flip_test(random.normal(effect, spread.std(ddof=1), 100), resamples=400, seed=run)[0] < 0.05
        for run in range(300)
    )
    assert 0.72 < found / 300 < 0.88


def test_shapes_must_agree() -> None:
    with pytest.raises(ValueError, match="a value for each question"):
        compare_paired([0.5], [0.5, 1.0], **SETTINGS)


def test_a_thousand_questions_at_64_samples_take_a_moment() -> None:
    random = np.random.default_rng(14)
    a, b = (pass_at_k(64, random.binomial(64, 0.4, 1_319), 8) for _ in range(2))
    assert compare_paired(a, b, confidence=0.95, resamples=10_000, seed=0).questions == 1_319


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.001, 0.5]) == pytest.approx([1.0, 0.003, 1.0])
    assert (holm([0.04]), holm([])) == ([0.04], [])


def test_over_several_benchmarks_equal_models_are_told_apart_once_in_twenty_runs() -> None:
    """Five benchmarks, the models being equal: without the correction every fifth run finds something."""
    random = np.random.default_rng(15)
    runs, wrong, corrected = 200, 0, 0
    for run in range(runs):
        sets = random.binomial(8, random.beta(0.5, 0.5, (5, 40, 1)), size=(5, 40, 2)) / 8
        p_values = [sign_flip_test(rates[:, 1] - rates[:, 0], resamples=10, seed=run)[0] for rates in sets]
        wrong += min(p_values) <= 0.05
        corrected += min(holm(p_values)) <= 0.05
    assert wrong / runs > 0.12
    assert corrected / runs <= 0.08
