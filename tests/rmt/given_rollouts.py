"""A reinforcement mid-training worker whose rollouts are written by a rule: any number of processes get the same."""

import random
from typing import Any

from tasks.rmt.job import RMTJob
from tasks.training.process import absent, offline
from tasks.worker import worker_main

TOKENS_PER_PASS = {"cpu": 60}
"""So few that rollouts and texts take several passes, and not equally many in each process."""


def write(trainer: Any, prompt_ids: list[list[int]], _images: Any, _fields: Any, group: int, **_: Any) -> Any:
    """Reasoning of several lengths and a digit for `DualTrainer._generate_single_turn`; one in five has no end."""
    tokenizer, rows = trainer.processing_class, []
    for row, ids in enumerate(prompt_ids):
        rng = random.Random(f"{ids}/{row % group}/{trainer.state.global_step}")
        text = "a" * rng.randint(0, 6) + f"</think>{rng.randint(2, 4)}"
        end = [] if rng.random() < 0.2 else [tokenizer.eos_token_id]
        rows.append(tokenizer(text, add_special_tokens=False)["input_ids"] + end)
    return rows, None


if __name__ == "__main__":
    offline()
    with absent("mlflow", "vllm"):
        import tasks.rl.trainer as rl
        import tasks.rmt.trainer as rmt
    from tasks.rmt.worker import run

    rmt.DualTrainer._generate_single_turn = write
    rl._TOKENS_PER_PASS = rmt._TEXT_TOKENS_PER_PASS = TOKENS_PER_PASS
    worker_main(RMTJob, run)
