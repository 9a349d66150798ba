"""What is drawn: by tier as planned, nothing twice, fallbacks as stated, the same for the same seed."""

import numpy as np
import pytest

from tasks.errors import Permanent
from tasks.schedule.draw import FALLBACKS, draw
from tasks.shared.next_token.method import CurriculumConfig, mixture

CURRICULUM = CurriculumConfig()
PLENTY = np.repeat(np.array([0, 1, 2], dtype=np.int8), 40_000)


@pytest.mark.parametrize("enabled", [True, False])
def test_nothing_is_drawn_twice_and_a_seed_decides_all(enabled: bool) -> None:
    curriculum = CurriculumConfig(enabled=enabled)
    tiers = np.random.default_rng(0).integers(0, 3, 900).astype(np.int8)
    one, same, other = (draw(tiers, 30, 30, curriculum, seed) for seed in (0, 0, 1))
    assert sorted(one.index.ravel()) == list(range(900))
    assert (one.index == same.index).all()
    assert (one.drawn == same.drawn).all()
    assert (one.index != other.index).mean() > 0.9
    assert (one.drawn != other.drawn).mean() > 0.3


def test_shares_follow_the_mixture() -> None:
    draws = draw(PLENTY, 100, 1_000, CURRICULUM, seed=3)
    used = PLENTY[draws.index]
    assert (used == draws.drawn).mean() > 0.9
    for first, stop in ((0, 30), (45, 55), (70, 100)):
        planned = np.mean([mixture(step, 100, CURRICULUM) for step in range(first, stop)], axis=0)
        shares = np.bincount(draws.drawn[first:stop].ravel(), minlength=3) / (1_000 * (stop - first))
        assert shares == pytest.approx(planned, abs=0.015)


def test_positions_of_a_tier_are_drawn_uniformly() -> None:
    drawn = np.concatenate([draw(PLENTY[::20], 10, 60, CURRICULUM, seed).index.ravel() for seed in range(40)])
    easy = drawn[PLENTY[::20][drawn] == 0]
    counts = np.histogram(easy, bins=10, range=(0, 2_000))[0]
    assert counts.sum() == len(easy) > 5_000
    assert counts.min() > 0.85 * counts.mean()
    assert counts.max() < 1.15 * counts.mean()


def test_tiers_are_shuffled_independently() -> None:
    draws = draw(PLENTY, 100, 300, CURRICULUM, seed=0)
    orders = [draws.index[PLENTY[draws.index] == tier] % 40_000 for tier in range(3)]
    assert abs(np.corrcoef(orders[0][:5_000], orders[1][:5_000])[0, 1]) < 0.1
    assert abs(np.corrcoef(orders[1][:5_000], orders[2][:5_000])[0, 1]) < 0.1


def test_without_a_curriculum_each_tier_has_its_share_of_the_texts() -> None:
    tiers = np.repeat(np.array([0, 1, 2], dtype=np.int8), (6_000, 3_000, 1_000))
    draws = draw(tiers, 50, 40, CurriculumConfig(enabled=False), seed=0)
    assert (draws.drawn == tiers[draws.index]).all()
    assert np.bincount(draws.drawn.ravel()) / 2_000 == pytest.approx([0.6, 0.3, 0.1], abs=0.03)


@pytest.mark.parametrize(
    ("drawn", "counts", "taken"),
    [
        ("easy", (2, 3, 3), [0, 0, 1, 1, 1, 2]),
        ("medium", (2, 2, 3), [1, 1, 0, 0, 2, 2]),
        ("hard", (3, 2, 1), [2, 1, 1, 0, 0, 0]),
        ("hard", (6, 0, 0), [0] * 6),
    ],
)
def test_a_tier_that_is_used_up_gives_way_to_the_nearest_easier_first(
    drawn: str, counts: tuple[int, int, int], taken: list[int]
) -> None:
    only = tuple(float(name == drawn) for name in ("easy", "medium", "hard"))
    tiers = np.repeat(np.array([0, 1, 2], dtype=np.int8), counts)
    draws = draw(tiers, 3, 2, CurriculumConfig(start=only, end=only), seed=0)
    assert tiers[draws.index].ravel().tolist() == taken
    assert set(draws.drawn.ravel().tolist()) == {("easy", "medium", "hard").index(drawn)}


def test_every_fallback_names_every_tier_and_itself_first() -> None:
    assert [order[0] for order in FALLBACKS] == [0, 1, 2]
    assert all(sorted(order) == [0, 1, 2] for order in FALLBACKS)


def test_a_tier_that_is_used_up_does_not_move_the_draws_of_the_others() -> None:
    """Streams are separate: which tier is drawn, and which medium position, is the same with fewer hard ones."""
    most, fewer = PLENTY, np.concatenate([PLENTY[:80_000], PLENTY[80_000:81_500]])
    one, two = (draw(tiers, 30, 100, CURRICULUM, seed=0) for tiers in (most, fewer))
    assert (one.drawn == two.drawn).all()
    medium = one.drawn == 1
    assert (one.index[medium] == two.index[medium]).all()


@pytest.mark.parametrize("enabled", [True, False])
def test_too_few_positions_are_told_with_what_to_change(enabled: bool) -> None:
    tiers = np.array([0] * 5 + [1] * 3 + [2], dtype=np.int8)
    with pytest.raises(
        Permanent,
        match=r"5 steps of 2 need 10 positions.* have 9 .*\(5 easy, 3 medium, 1 hard\).*schedule\.positions_per_step",
    ):
        draw(tiers, 5, 2, CurriculumConfig(enabled=enabled), seed=0)
    draw(tiers, 3, 3, CurriculumConfig(enabled=enabled), seed=0)
