"""A model that guesses digits."""

import random
from pathlib import Path

from tests.support.midtraining_jobs import learned
from tests.support.random_model import save_random_model


def save_guesser(folder: Path, *, width: int = 48) -> Path:
    """Mid-train a random model for a few seconds on random digits below 4, and return its folder."""
    rng = random.Random(0)
    pairs = [(f"Q: {rng.randint(0, 9)}\nA:", f" #### {rng.randint(0, 3)}") for _ in range(160)]
    return learned(folder, save_random_model(folder / "random", width=width), pairs, epochs=6)
