"""Intervals over documents cover what they promise, where positions of a document go together."""

import numpy as np
import pytest

from tasks.shared.statistics.bootstrap import bootstrap_mean
from tasks.shared.statistics.clustered import clustered_draws, clustered_mean, compare_clustered
from tasks.shared.statistics.paired import compare_paired

SETTINGS = {"confidence": 0.95, "resamples": 2_000, "seed": 0}
EASE = np.array([0.7, 0.5, 0.3])
"""True accuracy of each tier."""


def drawn_documents(random: np.random.Generator, documents: int) -> tuple[np.ndarray, np.ndarray]:
    """Right predictions and positions by (document, tier): a document is easy or hard as a whole, and long or short."""
    weights = random.poisson(random.choice([1, 6], documents)[:, None] * np.ones(3))
    weights[0] += 1
    shift = random.uniform(-0.25, 0.25, documents)[:, None]
    return random.binomial(weights, EASE + shift).astype(float), weights.astype(float)


def test_95_percent_interval_covers_95_percent_of_the_time() -> None:
    random = np.random.default_rng(1)
    runs, covered, width = 600, 0, []
    for run in range(runs):
        sums, weights = drawn_documents(random, 80)
        interval = clustered_mean(sums, weights, confidence=0.95, resamples=400, seed=run)
        covered += interval.low <= 0.5 <= interval.high
        width.append(interval.high - interval.low)
    # Three standard errors of a share of 600 around 0.95, and the percentile interval's known small deficit.
    assert 0.92 <= covered / runs <= 0.977
    assert np.mean(width) < 0.12


def test_taking_positions_for_independent_would_not_cover() -> None:
    """The same documents, their positions resampled one by one: the mistake that clustering avoids."""
    random = np.random.default_rng(2)
    runs, covered = 200, 0
    for run in range(runs):
        sums, weights = drawn_documents(random, 80)
        totals = weights.sum(axis=0).astype(int)
        right = sums.sum(axis=0).astype(int)
        single = np.concatenate([np.arange(total) < hits for total, hits in zip(totals, right, strict=True)])
        interval = bootstrap_mean(single, confidence=0.95, resamples=200, seed=run)
        covered += interval.low <= right.sum() / totals.sum() - (right / totals).mean() + 0.5 <= interval.high
    assert covered / runs < 0.85


def test_equal_documents_of_one_part_are_the_plain_bootstrap() -> None:
    values = np.random.default_rng(3).binomial(4, 0.4, 60) / 4
    clustered = clustered_mean(values * 4, np.full(60, 4.0), **SETTINGS)
    plain = bootstrap_mean(values, **SETTINGS)
    assert (clustered.mean, clustered.low, clustered.high) == pytest.approx((plain.mean, plain.low, plain.high))


def test_long_documents_weigh_more_and_parts_the_same() -> None:
    sums, weights = [[9.0, 0.0], [0.0, 1.0]], [[9.0, 1.0], [1.0, 1.0]]
    assert clustered_mean(sums, weights, **SETTINGS).mean == pytest.approx((0.9 + 0.5) / 2)


def test_the_mean_over_tiers_is_the_papers() -> None:
    """48.67, 35.84, 23.03 are averaged to 35.85: tiers count the same, whatever their number of positions."""
    weights = np.array([[10_000.0, 20_000.0, 40_000.0]])
    sums = weights * [0.4867, 0.3584, 0.2303]
    interval = clustered_mean(np.repeat(sums, 2, axis=0), np.repeat(weights, 2, axis=0), **SETTINGS)
    assert round(100 * interval.mean, 2) == 35.85


def test_same_seed_same_draws_in_pieces_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    sums, weights = drawn_documents(np.random.default_rng(4), 50)
    whole = clustered_draws(sums, weights, resamples=100, seed=3)
    monkeypatch.setattr("tasks.shared.statistics.clustered._CHUNK_CELLS", 700)
    np.testing.assert_array_equal(clustered_draws(sums, weights, resamples=100, seed=3), whole)


def test_a_tier_in_one_document_still_has_an_interval() -> None:
    sums, weights = np.array([[1.0, 3.0], [2.0, 0.0], [0.0, 0.0]]), np.array([[2.0, 4.0], [2.0, 0.0], [3.0, 0.0]])
    assert np.isnan(clustered_draws(sums, weights, **{k: SETTINGS[k] for k in ("resamples", "seed")})).any()
    interval = clustered_mean(sums, weights, **SETTINGS)
    assert 0 <= interval.low <= interval.mean <= interval.high <= 1


@pytest.mark.parametrize(("value", "low", "high"), [(0.0, 0.0, 0.1157), (1.0, 0.8843, 1.0)])
def test_all_wrong_or_all_right_is_not_certainty(value: float, low: float, high: float) -> None:
    weights = np.full((30, 1), 5.0)
    interval = clustered_mean(value * weights, weights, **SETTINGS)
    assert (interval.low, interval.high) == pytest.approx((low, high), abs=1e-4)


def test_lengths_are_means_and_not_shares() -> None:
    weights = np.full((40, 1), 2.0)
    interval = clustered_mean(100 * weights, weights, share=False, **SETTINGS)
    assert (interval.mean, interval.low, interval.high) == (100, 100, 100)


@pytest.mark.parametrize(
    ("sums", "weights"),
    [([], []), ([[1.0]], [[1.0, 2.0]]), ([1.0], [0.0]), ([1.0, 1.0], [2.0, -1.0]), ([float("nan")], [1.0])],
)
def test_refuses_what_has_no_score(sums: list, weights: list) -> None:
    with pytest.raises(ValueError, match=r"weight|finite"):
        clustered_mean(sums, weights, **SETTINGS)


def test_one_position_a_document_is_the_plain_paired_comparison() -> None:
    random = np.random.default_rng(5)
    a, b = random.integers(0, 2, (2, 80)).astype(float)
    clustered, plain = compare_clustered(a, b, np.ones(80), **SETTINGS), compare_paired(a, b, **SETTINGS)
    assert clustered == plain
    assert clustered.exact


def test_equal_tiers_keep_the_test_exact() -> None:
    random = np.random.default_rng(6)
    weights = np.tile([[2.0, 2.0, 2.0]], (40, 1))
    a, b = random.binomial(2 * 12, 0.5, (2, 40, 3)) / 12
    result = compare_clustered(a, b, weights, **SETTINGS)
    assert result.exact
    assert result.p_value == pytest.approx(compare_clustered(b, a, weights, **SETTINGS).p_value)


def test_false_positives_are_as_rare_as_promised_and_a_difference_is_found() -> None:
    """A document's positions go up or down together between two models that are equally good on the whole."""
    random = np.random.default_rng(7)
    rejected, covered, runs = {0.0: 0, 0.12: 0}, 0, 250
    for effect in rejected:
        for run in range(runs):
            _, weights = drawn_documents(random, 80)
            luck = random.uniform(-0.15, 0.15, (2, 80, 1))
            a, b = (random.binomial(weights.astype(int), EASE + luck[i] + i * effect) for i in (0, 1))
            result = compare_clustered(a, b, weights, confidence=0.95, resamples=200, seed=run)
            rejected[effect] += result.p_value < 0.05
            covered += result.low <= effect <= result.high
    assert rejected[0.0] / runs < 0.085
    assert rejected[0.12] / runs > 0.9
    assert 0.9 < covered / (2 * runs) < 0.98


def test_parts_that_cancel_are_no_difference() -> None:
    """A third up in one tier and a third down in another leave 1e-17, which is not the smallest of all differences."""
    weights = np.ones((30, 3))
    a = np.random.default_rng(8).integers(0, 2, (30, 3)) / 3
    b = a.copy()
    b[:10] += np.array([0.1, 0.2, -0.3])
    b[10:14, 0] += 1 / 3
    assert (b - a).sum(axis=1)[:10].any()
    assert compare_clustered(a, b, weights, **SETTINGS).exact


def test_the_detectable_difference_is_that_of_the_ratios_own_spread() -> None:
    """2.8 standard errors: those of the bootstrap, where documents differ in length and one model is far better."""
    random = np.random.default_rng(9)
    _, weights = drawn_documents(random, 400)
    a = random.binomial(weights.astype(int), 0.1)
    b = random.binomial(weights.astype(int), 0.7)
    draws = clustered_draws(b - a, weights, resamples=4_000, seed=1)
    found = compare_clustered(a, b, weights, **SETTINGS).minimum_detectable
    assert found == pytest.approx(2.8016 * draws.std(), rel=0.05)
