"""Steps and rows: nothing is dropped, nothing is split, and the seed decides the order."""

import random

import pytest

from tasks.midtrain.batching import forward_passes, group_by_length, pack, plan_steps


@pytest.mark.parametrize(("examples", "epochs", "batch"), [(10, 3, 4), (8, 2, 4), (3, 1, 64), (1, 2, 1)])
def test_every_epoch_uses_every_example_once(examples: int, epochs: int, batch: int) -> None:
    steps = plan_steps(examples, epochs, batch, seed=0)
    for epoch in range(epochs):
        used = [i for step in steps if step.epoch == epoch for i in step.examples]
        assert sorted(used) == list(range(examples))
    assert max(len(step.examples) for step in steps) <= batch


def test_order_depends_on_seed_and_epoch_alone() -> None:
    first, again, other = plan_steps(50, 2, 8, seed=1), plan_steps(50, 2, 8, seed=1), plan_steps(50, 2, 8, seed=2)
    assert first == again != other
    assert first[0].examples != first[7].examples
    assert first[:7] == plan_steps(50, 1, 8, seed=1)


def test_packing_keeps_examples_whole_and_fills_rows() -> None:
    rng = random.Random(0)
    lengths = [rng.randint(1, 60) for _ in range(300)]
    rows = pack(lengths, 100)
    assert sorted(i for row in rows for i in row) == list(range(300))
    sums = [sum(lengths[i] for i in row) for row in rows]
    assert max(sums) <= 100
    assert len(rows) <= 1.05 * sum(lengths) / 100


def test_packing_refuses_what_would_be_cut() -> None:
    with pytest.raises(ValueError, match=r"capacity=10 .* 11 tokens"):
        pack([3, 11], 10)


def test_forward_passes_hold_all_rows_and_as_many_as_their_tokens_allow() -> None:
    lengths = [5, 1, 9, 3, 7]
    rows = group_by_length(lengths)
    assert [lengths[row[0]] for row in rows] == [9, 7, 5, 3, 1]
    passes = forward_passes(rows, lengths, 14)
    assert [[lengths[row[0]] for row in part] for part in passes] == [[9], [7, 5], [3, 1]]
    assert forward_passes(rows, lengths, 1) == [[row] for row in rows], "a longer row has a pass of its own"
    assert sorted(i for part in passes for row in part for i in row) == [0, 1, 2, 3, 4]
