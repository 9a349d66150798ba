"""The dual loss on adapters: both terms reach them, they resume to the bit, and leave one merged model."""

from pathlib import Path

import pytest

from tasks.rmt.worker import run
from tasks.spine.stage.worker import Reporter
from tests.support.adapters import LORA, adapter_bytes, check_artifact
from tests.support.grpo_runs import Crash, curve
from tests.support.guessing import MakeJob

pytestmark = pytest.mark.slow
SETTINGS = {"steps": 8, "lora": LORA, "learning_rate": 2e-2, "ntp_weight": 0.5}


def test_adapters_learn_and_an_interrupted_training_of_them_ends_as_if_nothing_had_happened(
    make_job: MakeJob, guesser: Path, tmp_path: Path
) -> None:
    straight = make_job("straight", **SETTINGS).model_copy(update={"model_name": "model/base"})
    run(straight, Reporter(tmp_path / "straight"))
    check_artifact(guesser, straight.out)
    points = curve(tmp_path / "straight")
    assert points[-1]["loss_ntp"] < 0.8 * points[0]["loss_ntp"]
    assert any(point["loss_rl"] != 0 for point in points)

    broken = make_job("broken", save_every_steps=4, **SETTINGS).model_copy(update={"model_name": "model/base"})
    with pytest.raises(KeyboardInterrupt):
        run(broken, Crash(tmp_path / "broken", at=5))
    assert run(broken, Reporter(tmp_path / "broken"))["resumed_from_step"] == 4
    assert curve(tmp_path / "broken") == points
    assert adapter_bytes(broken.out) == adapter_bytes(straight.out)
    assert (broken.out / "model.safetensors").read_bytes() == (straight.out / "model.safetensors").read_bytes()
