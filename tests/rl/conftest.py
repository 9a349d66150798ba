"""A model that guesses: it answers ` #### d` with a random digit, so that rewards differ within a group."""

from pathlib import Path
from typing import Any

import pytest

from tasks.rl.config import RLConfig, RLJob
from tests.support.digit_guesser import save_guesser
from tests.support.rl_jobs import QUESTIONS, MakeJob, write_prompts


@pytest.fixture(scope="session")
def guesser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a model that guesses."""
    return save_guesser(tmp_path_factory.mktemp("guesser"))


@pytest.fixture
def make_job(guesser: Path, tmp_path: Path) -> MakeJob:
    """A small RL job in the folder `name`; its questions all have the answer 3, so there is something to learn."""

    def make(name: str, *, save_every_steps: int = 1000, micro_batch_tokens: int = 0, **settings: Any) -> RLJob:
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
            rl_micro_batch_tokens=micro_batch_tokens,
            num_threads=1,
            config=RLConfig(**{**small, **settings}),
        )

    return make
