"""GRPO on adapters: they learn, resume to the bit, and leave one merged model."""

from pathlib import Path

import pytest

from tasks.rl.worker import run
from tasks.spine.stage.worker import Reporter
from tests.support.adapters import LORA, check_bfloat16_artifact, stored_in_bfloat16, trained_and_resumed
from tests.support.grpo_runs import curve
from tests.support.rl_jobs import MakeJob

pytestmark = pytest.mark.slow
SETTINGS = {"steps": 10, "lora": LORA, "learning_rate": 2e-2, "beta": 0.01}


def test_adapters_learn_and_an_interrupted_training_of_them_ends_as_if_nothing_had_happened(
    make_job: MakeJob, guesser: Path, tmp_path: Path
) -> None:
    points = trained_and_resumed(run, make_job, SETTINGS, guesser, tmp_path)
    assert points[-1]["reward"] > points[0]["reward"]
    # The reference is the model without its adapters, which add nothing before the first step.
    assert points[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert points[-1]["kl"] > 1e-3


def test_rl_in_bfloat16_trains_adapters_in_float32_and_rounds_once_where_it_merges(
    make_job: MakeJob, guesser: Path, tmp_path: Path
) -> None:
    """Frozen weights and passes of 16 bits, rollouts and the reference for the divergence among them."""
    stored = stored_in_bfloat16(guesser, tmp_path / "stored")
    job = make_job("bfloat16", **{**SETTINGS, "steps": 3, "dtype": "bfloat16"}).model_copy(update={"model": stored})
    run(job, Reporter(tmp_path / "bfloat16"))
    check_bfloat16_artifact(stored, job.out)
    points = curve(tmp_path / "bfloat16")
    assert points[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert any(point["loss"] != 0 for point in points)
