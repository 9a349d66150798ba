"""An RL worker whose rollouts are written by a rule, so that any number of processes get the same ones."""

import random

from tasks.spine.stage.imports import hide_packages, offline
from tests.support.grpo_runs import written_by
from tests.support.jobs_in_turn import main

TOKENS_PER_PASS = {"cpu": 60}
"""So few that a micro-batch takes several passes, and not equally many in each process."""


def answer(rng: random.Random) -> str:
    """Answers of several lengths."""
    return "z" * rng.randint(0, 4) + f" #### {rng.randint(2, 4)}"


write = written_by(answer)


if __name__ == "__main__":
    offline()
    with hide_packages("mlflow", "vllm"):
        import tasks.rl.policy_loss as policy_loss
        import tasks.rl.trainer as trainer

    trainer.GroupTrainer._generate_single_turn = write
    policy_loss._TOKENS_PER_PASS = TOKENS_PER_PASS
    main()
