"""The dual loss on adapters: both terms reach them, they resume to the bit, and leave one merged model."""

from pathlib import Path

import pytest

from tasks.rmt.worker import run
from tests.support.adapters import LORA, trained_and_resumed
from tests.support.guessing import MakeJob

pytestmark = pytest.mark.slow
SETTINGS = {"steps": 8, "lora": LORA, "learning_rate": 2e-2, "ntp_weight": 0.5}


def test_adapters_learn_and_an_interrupted_training_of_them_ends_as_if_nothing_had_happened(
    make_job: MakeJob, guesser: Path, tmp_path: Path
) -> None:
    points = trained_and_resumed(run, make_job, SETTINGS, guesser, tmp_path)
    assert points[-1]["loss_ntp"] < 0.8 * points[0]["loss_ntp"]
    assert any(point["loss_rl"] != 0 for point in points)
