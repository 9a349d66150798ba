"""A model that guesses digits."""

import random
from pathlib import Path

from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.midtrain.worker import run as midtrain
from tasks.spine.stage.worker import Reporter
from tests.support.random_model import save_random_model
from tests.support.training_rows import write_rows


def save_guesser(folder: Path, *, width: int = 48) -> Path:
    """Mid-train a random model for a few seconds on random digits below 4, and return its folder."""
    (folder / "out").mkdir()
    rng = random.Random(0)
    rows = [
        {
            "prompt": f"Q: {rng.randint(0, 9)}\nA:",
            "completion": f" #### {rng.randint(0, 3)}",
            "question_id": f"q{i}",
            "heuristic": "",
            "rank": 0,
        }
        for i in range(160)
    ]
    job = MidtrainJob(
        model=save_random_model(folder / "random", width=width),
        data=write_rows(folder / "train.parquet", rows),
        out=folder / "out",
        checkpoints=folder / "checkpoints",
        num_threads=1,
        save_every_steps=10_000,
        config=MidtrainConfig(learning_rate=1e-2, epochs=6, batch_size=16),
    )
    midtrain(job, Reporter(folder))
    return folder / "out"
