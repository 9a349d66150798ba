"""Prompts of each rollout batch, planned ahead, so that the data cursor is a function of the step alone."""

import math
import random


def plan_batches(num_prompts: int, prompts_per_step: int, epochs: int, steps: int, seed: int) -> list[list[int]]:
    """Indices of the prompts of every batch.

    Each epoch is a new permutation, and they follow one another without a gap, so a batch may end one epoch and begin
    the next: TRL's sampler would drop the prompts of a last, smaller batch. The batch that ends the run is filled up
    from one more permutation. A batch never holds a prompt twice, unless there are fewer prompts than places.

    Args:
        steps: batches of the whole run; 0 takes as many as `epochs` need.
    """
    total = steps or math.ceil(num_prompts * epochs / prompts_per_step)
    batches: list[list[int]] = []
    waiting: list[int] = []
    epoch = 0
    for _ in range(total):
        while len(waiting) < prompts_per_step:
            order = list(range(num_prompts))
            random.Random(f"{seed}/{epoch}").shuffle(order)
            open_batch = set(waiting) if num_prompts >= prompts_per_step else set()
            # Prompts that the open batch holds already go behind the rest of the new permutation.
            waiting += sorted(order, key=lambda index: index in open_batch)
            epoch += 1
        batches.append(waiting[:prompts_per_step])
        waiting = waiting[prompts_per_step:]
    return batches
