"""The data cursor: which prompts each batch asks."""

from collections import Counter

import pytest

from tasks.rl.schedule import plan_batches


@pytest.mark.parametrize(("prompts", "batch", "epochs"), [(10, 4, 1), (10, 4, 3), (8, 4, 2), (100, 16, 1), (3, 8, 2)])
def test_an_epoch_asks_every_prompt(prompts: int, batch: int, epochs: int) -> None:
    batches = plan_batches(prompts, batch, epochs, steps=0, seed=0)
    asked = Counter(index for one in batches for index in one)
    assert all(len(one) == batch for one in batches)
    assert len(batches) == -(-prompts * epochs // batch)
    assert set(asked) == set(range(prompts))
    assert max(asked.values()) - min(asked.values()) <= 1


def test_no_prompt_twice_in_a_batch_even_across_epochs() -> None:
    for seed in range(20):
        for one in plan_batches(10, 4, 1, steps=50, seed=seed):
            assert len(set(one)) == 4


def test_a_longer_run_begins_like_a_shorter_one() -> None:
    assert plan_batches(10, 4, 1, steps=20, seed=3)[:7] == plan_batches(10, 4, 1, steps=7, seed=3)
    assert plan_batches(10, 4, 1, steps=7, seed=3) != plan_batches(10, 4, 1, steps=7, seed=4)
