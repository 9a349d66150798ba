"""A model that thinks at random length and guesses a digit, and small jobs for it."""

from pathlib import Path
from typing import Any

import pytest

from tasks.rmt.config import RMTJob, RMTTrainConfig
from tests.support.guessing import PROMPT, MakeJob, save_guesser, write_schedule


@pytest.fixture(scope="session")
def guesser(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of the model; trained here for a few seconds."""
    return save_guesser(tmp_path_factory.mktemp("guesser"))


@pytest.fixture
def make_job(guesser: Path, tmp_path: Path) -> MakeJob:
    """A small run in the folder `name`: every prediction that is asked for is a 3, so there is something to learn."""

    def make(
        name: str,
        *,
        steps: int = 6,
        slots: int = 4,
        save_every_steps: int = 1000,
        micro_batch_tokens: int = 0,
        **settings: Any,
    ) -> RMTJob:
        folder = tmp_path / name
        (folder / "out").mkdir(parents=True, exist_ok=True)
        small = {"learning_rate": 3e-3, "group_size": 4, "max_completion_tokens": 16, "prediction_prompt": PROMPT}
        return RMTJob(
            model=guesser,
            data=write_schedule(folder / "schedule", guesser, steps=steps, slots=slots),
            out=folder / "out",
            checkpoints=folder / "checkpoints",
            save_every_steps=save_every_steps,
            rl_micro_batch_tokens=micro_batch_tokens,
            num_threads=1,
            config=RMTTrainConfig(**{**small, **settings}),
        )

    return make
