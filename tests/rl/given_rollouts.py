"""An RL worker whose rollouts are written by a rule, so that any number of processes get the same ones."""

import random
from typing import Any

from tasks.rl.job import RLJob
from tasks.training.process import absent, offline
from tasks.worker import worker_main

TOKENS_PER_PASS = {"cpu": 60}
"""So few that a micro-batch takes several passes, and not equally many in each process."""


def write(trainer: Any, prompt_ids: list[list[int]], _images: Any, _fields: Any, group: int, **_: Any) -> Any:
    """Answers of several lengths for `GroupTrainer._generate_single_turn`; one in five has no end."""
    tokenizer, rows = trainer.processing_class, []
    for row, ids in enumerate(prompt_ids):
        rng = random.Random(f"{ids}/{row % group}/{trainer.state.global_step}")
        text = "z" * rng.randint(0, 4) + f" #### {rng.randint(2, 4)}"
        end = [] if rng.random() < 0.2 else [tokenizer.eos_token_id]
        rows.append(tokenizer(text, add_special_tokens=False)["input_ids"] + end)
    return rows, None


if __name__ == "__main__":
    offline()
    with absent("mlflow", "vllm"):
        import tasks.rl.trainer as trainer
    from tasks.rl.worker import run

    trainer.GroupTrainer._generate_single_turn = write
    trainer._TOKENS_PER_PASS = TOKENS_PER_PASS
    worker_main(RLJob, run)
