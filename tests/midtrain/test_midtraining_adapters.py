"""Mid-training of adapters: they learn, resume to the bit, and leave one merged model."""

from pathlib import Path

import pytest

from tasks.midtrain.config import MidtrainConfig, MidtrainJob
from tasks.midtrain.worker import run
from tasks.spine.stage.worker import Reporter
from tests.support.adapters import LORA, adapter_bytes, check_artifact, check_bfloat16_artifact, stored_in_bfloat16
from tests.support.grpo_runs import Crash
from tests.support.midtraining_jobs import points

pytestmark = pytest.mark.slow


def job(model: Path, dataset: Path, folder: Path) -> MidtrainJob:
    (folder / "out").mkdir(parents=True, exist_ok=True)
    return MidtrainJob(
        model=model,
        model_name="model/base",
        data=dataset,
        out=folder / "out",
        checkpoints=folder / "checkpoints",
        save_every_steps=5,
        num_threads=1,
        config=MidtrainConfig(learning_rate=1e-2, epochs=12, batch_size=4, lora=LORA),
    )


def test_adapters_learn_and_an_interrupted_training_of_them_ends_as_if_nothing_had_happened(
    random_model: Path, dataset: Path, tmp_path: Path
) -> None:
    straight = run(job(random_model, dataset, tmp_path / "a"), Reporter(tmp_path / "a"))
    check_artifact(random_model, tmp_path / "a" / "out")
    losses = [point["loss"] for point in points(tmp_path / "a")]
    assert sum(losses[-5:]) < 0.8 * sum(losses[:5])

    broken = job(random_model, dataset, tmp_path / "b")
    with pytest.raises(KeyboardInterrupt):
        run(broken, Crash(tmp_path / "b", at=13))
    resumed = run(broken, Reporter(tmp_path / "b"))
    assert resumed["resumed_from_step"] == 10
    assert resumed["ledger"] == straight["ledger"]
    a, b = (tmp_path / name / "out" for name in "ab")
    assert adapter_bytes(a) == adapter_bytes(b)
    assert (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes()


def test_bfloat16_weights_stay_as_they_are_stored_and_are_rounded_once_with_their_adapters(
    random_model: Path, dataset: Path, tmp_path: Path
) -> None:
    short = job(stored_in_bfloat16(random_model, tmp_path / "stored"), dataset, tmp_path / "run")
    config = short.config.model_copy(update={"dtype": "bfloat16", "epochs": 2})
    run(short.model_copy(update={"config": config}), Reporter(tmp_path / "run"))
    check_bfloat16_artifact(short.model, short.out)
