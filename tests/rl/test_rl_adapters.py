"""GRPO on adapters: they learn, resume to the bit, and leave one merged model; vLLM gets merged weights."""

from pathlib import Path

import pytest

from tasks.rl.worker import run
from tasks.spine.stage.worker import Reporter
from tests.support.adapters import LORA, adapter_bytes, check_artifact
from tests.support.grpo_runs import Crash, curve
from tests.support.rl_jobs import MakeJob

pytestmark = pytest.mark.slow
SETTINGS = {"steps": 10, "lora": LORA, "learning_rate": 2e-2, "beta": 0.01}


def test_adapters_learn_and_an_interrupted_training_of_them_ends_as_if_nothing_had_happened(
    make_job: MakeJob, guesser: Path, tmp_path: Path
) -> None:
    straight = make_job("straight", **SETTINGS).model_copy(update={"model_name": "model/base"})
    run(straight, Reporter(tmp_path / "straight"))
    check_artifact(guesser, straight.out)
    points = curve(tmp_path / "straight")
    assert points[-1]["reward"] > points[0]["reward"]
    # The reference is the model without its adapters, which add nothing before the first step.
    assert points[0]["kl"] == pytest.approx(0, abs=1e-6)
    assert points[-1]["kl"] > 1e-3

    broken = make_job("broken", save_every_steps=5, **SETTINGS).model_copy(update={"model_name": "model/base"})
    with pytest.raises(KeyboardInterrupt):
        run(broken, Crash(tmp_path / "broken", at=6))
    assert run(broken, Reporter(tmp_path / "broken"))["resumed_from_step"] == 5
    assert curve(tmp_path / "broken") == points
    assert adapter_bytes(broken.out) == adapter_bytes(straight.out)
    assert (broken.out / "model.safetensors").read_bytes() == (straight.out / "model.safetensors").read_bytes()
