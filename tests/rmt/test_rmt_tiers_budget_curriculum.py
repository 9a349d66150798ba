"""Tiers, budget and curriculum against values worked out by hand."""

import numpy as np
import pytest
from pydantic import ValidationError

from tasks.shared.next_token.method import (
    BudgetConfig,
    CurriculumConfig,
    RewardConfig,
    TierConfig,
    budget,
    length_reward,
    mixture,
    tier_indices,
    tier_of,
)

TIERS = TierConfig()
PAPER = BudgetConfig()
CURRICULUM = CurriculumConfig()


@pytest.mark.parametrize(
    ("entropy", "tier"),
    [
        (0.0, None),
        (0.499, None),
        (0.5, "easy"),
        (0.999, "easy"),
        (1.0, "medium"),
        (1.5, "hard"),
        (11.9, "hard"),
        (float("nan"), None),
    ],
)
def test_a_threshold_belongs_to_the_tier_above_it(entropy: float, tier: str | None) -> None:
    assert tier_of(entropy, TIERS) == tier


def test_tiers_of_an_array_keep_its_shape() -> None:
    entropies = np.array([[np.nan, 0.2, 0.5], [1.2, 1.5, 9.0]], dtype=np.float32)
    assert tier_indices(entropies, TIERS).tolist() == [[-1, -1, 0], [1, 2, 2]]


@pytest.mark.parametrize(("percent", "unrounded", "tokens"), [(0, 800, 800), (30, 493.6, 494), (70, 259.3, 259)])
def test_the_budget_falls_as_in_the_paper(percent: int, unrounded: float, tokens: int) -> None:
    assert 800 * 0.2 ** (percent / 100) == pytest.approx(unrounded, abs=0.05)
    assert budget(percent, 100, PAPER) == tokens
    assert budget(10 * percent, 1000, PAPER) == tokens


def test_the_budget_ends_at_its_share() -> None:
    assert [budget(steps, steps, PAPER) for steps in (1, 7, 100, 12_345)] == [160] * 4
    assert budget(99, 100, PAPER) == 163


def test_the_budget_never_rises_and_never_falls_below_its_floor() -> None:
    curve = [budget(step, 500, BudgetConfig(start=40, floor=12, gamma=0.1)) for step in range(501)]
    assert curve == sorted(curve, reverse=True)
    assert (curve[0], curve[-1], min(curve)) == (40, 12, 12)
    assert {budget(step, 9, BudgetConfig(gamma=1)) for step in range(10)} == {800}


def test_a_whole_number_is_not_lost_to_floating_point() -> None:
    assert 700 * 0.49**0.5 < 490
    assert budget(1, 2, BudgetConfig(start=700, gamma=0.49)) == 490


@pytest.mark.parametrize(("step", "steps"), [(-1, 10), (11, 10), (0, 0)])
def test_a_step_outside_the_run_is_refused(step: int, steps: int) -> None:
    with pytest.raises(ValueError, match=rf"step={step} of steps={steps}"):
        budget(step, steps, PAPER)
    with pytest.raises(ValueError, match=rf"step={step} of steps={steps}"):
        mixture(step, steps, CURRICULUM)


@pytest.mark.parametrize(("length", "paid"), [(0, 0), (40, 0.5), (80, 1), (120, 0.5), (160, 0), (161, 0), (5_000, 0)])
def test_the_length_reward_is_a_triangle(length: int, paid: float) -> None:
    assert length_reward(length, 80, RewardConfig()) == paid
    assert length_reward(length, 80, RewardConfig(length_max=3)) == 3 * paid


def test_a_budget_of_one_token_pays_for_one_token() -> None:
    assert [length_reward(length, 1, RewardConfig()) for length in range(4)] == [0, 1, 0, 0]


@pytest.mark.parametrize(("length", "asked"), [(-1, 80), (3, 0)])
def test_a_length_reward_of_nothing_is_refused(length: int, asked: int) -> None:
    with pytest.raises(ValueError, match="needs length >= 0 and budget >= 1"):
        length_reward(length, asked, RewardConfig())


def test_the_mixture_turns_where_the_paper_says() -> None:
    for step in range(31):
        assert mixture(step, 100, CURRICULUM) == pytest.approx((0.6, 0.3, 0.1))
    assert mixture(40, 100, CURRICULUM) == pytest.approx((0.475, 0.3, 0.225))
    assert mixture(50, 100, CURRICULUM) == pytest.approx((0.35, 0.3, 0.35))
    for step in range(70, 101):
        assert mixture(step, 100, CURRICULUM) == pytest.approx((0.1, 0.3, 0.6))


@pytest.mark.parametrize("turning_points", [(0.3, 0.7), (0, 1), (0, 0.01), (0.99, 1)])
def test_every_mixture_is_a_distribution(turning_points: tuple[float, float]) -> None:
    config = CurriculumConfig(turning_points=turning_points, start=(0.9, 0.1, 0), end=(0, 0.15, 0.85))
    for step in range(98):
        shares = mixture(step, 97, config)
        assert sum(shares) == pytest.approx(1, abs=1e-12)
        assert min(shares) >= 0
    assert mixture(97, 97, config) == pytest.approx(config.end)
    assert mixture(0, 97, config) == pytest.approx(config.start)


@pytest.mark.parametrize(
    ("config", "values", "field"),
    [
        (BudgetConfig, {"gamma": 0}, "gamma"),
        (BudgetConfig, {"gamma": 1.1}, "gamma"),
        (BudgetConfig, {"start": 10, "floor": 11}, "floor"),
        (CurriculumConfig, {"start": (0.5, 0.5, 0.5)}, "sum to 1"),
        (CurriculumConfig, {"turning_points": (0.7, 0.3)}, "turning_points"),
        (TierConfig, {"easy": 1.2}, "easy=1.2"),
        (RewardConfig, {"length_weight": 1.5}, "length_weight"),
    ],
)
def test_settings_out_of_range_are_named(config: type, values: dict[str, object], field: str) -> None:
    with pytest.raises(ValidationError, match=field):
        config.model_validate(values)
