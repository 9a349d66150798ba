"""A model that guesses: it answers ` #### d` with a random digit, so that rewards differ within a group."""

import random
from pathlib import Path
from typing import Any

import pytest

from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.midtrain.worker import run as midtrain
from tasks.rl.config import RLConfig, RLJob
from tasks.spine.stage.worker import Reporter
from tests.support.random_model import save_random_model
from tests.support.rl_jobs import QUESTIONS, MakeJob, write_prompts
from tests.support.training_rows import write_rows


@pytest.fixture(scope="session")
def guesser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the model; mid-trained here for a few seconds on random digits below 4."""
    folder = tmp_path_factory.mktemp("guesser")
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
        model=save_random_model(folder / "random"),
        data=write_rows(folder / "train.parquet", rows),
        out=folder / "out",
        checkpoints=folder / "checkpoints",
        num_threads=1,
        save_every_steps=10_000,
        config=MidtrainConfig(learning_rate=1e-2, epochs=6, batch_size=16),
    )
    midtrain(job, Reporter(folder))
    return folder / "out"


@pytest.fixture
def make_job(guesser: Path, tmp_path: Path) -> MakeJob:
    """A small RL job in the folder `name`; its questions all have the answer 3, so there is something to learn."""

    def make(name: str, *, save_every_steps: int = 1000, micro_batch_size: int = 0, **settings: Any) -> RLJob:
        folder = tmp_path / name
        (folder / "out").mkdir(parents=True, exist_ok=True)
        rows = [{"prompt": f"Q: {i}\nA:", "answer": "3", "question_id": f"q{i}"} for i in range(QUESTIONS)]
        small = {
            "learning_rate": 3e-3,
            "prompts_per_step": 4,
            "group_size": 4,
            "steps": 6,
            "max_completion_tokens": 12,
        }
        return RLJob(
            model=guesser,
            data=write_prompts(folder / "rl.parquet", rows),
            out=folder / "out",
            checkpoints=folder / "checkpoints",
            save_every_steps=save_every_steps,
            micro_batch_size=micro_batch_size,
            num_threads=1,
            config=RLConfig(**{**small, **settings}),
        )

    return make
