"""Rollouts by vLLM in the trainer's own processes: its engine as TRL starts it, within vLLM's limits, and its seed."""

import random
from typing import Any

from transformers import set_seed
from trl.generation.vllm_generation import VLLMGeneration
from trl.trainer import grpo_trainer

MAX_SEQUENCES = 1024
"""Most rollouts that an engine writes at once; the others wait. vLLM's own default on large GPUs. TRL asks for a whole
batch, and vLLM refuses more than the tokens of one of its steps (4,096 there)."""


class BoundedEngine(VLLMGeneration):
    """TRL's engine for batches of any size."""

    def __init__(self, *args: Any, max_num_seqs: int, **kwargs: Any) -> None:
        super().__init__(*args, max_num_seqs=min(max_num_seqs, MAX_SEQUENCES), **kwargs)


grpo_trainer.VLLMGeneration = BoundedEngine


def seed_rollouts(seed: int, engine: int) -> None:
    """Start the random numbers of this process, from which its vLLM engine draws; vLLM's start has set them to its own.

    Args:
        seed: the run's.
        engine: number of the engine; all processes that one engine spans draw the same, or they would part ways.
    """
    set_seed(random.Random(f"{seed}/{engine}").getrandbits(32))
