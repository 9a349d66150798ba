"""A reinforcement mid-training worker whose rollouts are written by a rule: any number of processes get the same."""

import random

from tasks.spine.stage.imports import hide_packages, offline
from tests.support.grpo_runs import written_by
from tests.support.jobs_in_turn import main

TOKENS_PER_PASS = {"cpu": 60}
"""So few that rollouts and texts take several passes, and not equally many in each process."""


def reasoning(rng: random.Random) -> str:
    """Reasoning of several lengths and a digit."""
    return "a" * rng.randint(0, 6) + f"</think>{rng.randint(2, 4)}"


write = written_by(reasoning)


if __name__ == "__main__":
    offline()
    with hide_packages("mlflow", "vllm"):
        import tasks.rl.policy_loss as rl
        import tasks.rmt.trainer as rmt

    rmt.DualTrainer._generate_single_turn = write
    rl._TOKENS_PER_PASS = rmt._TEXT_TOKENS_PER_PASS = TOKENS_PER_PASS
    main()
