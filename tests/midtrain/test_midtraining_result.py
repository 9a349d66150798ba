"""What a training writes at its end was tried before its first step, and is the starting model's own."""

import json
import shutil
from pathlib import Path

import pytest

from tasks.errors import Permanent
from tasks.midtrain.worker import run
from tasks.spine.stage.worker import Reporter
from tests.support.base_models import change_config, change_weights
from tests.support.midtraining_jobs import job

SETTINGS = {"do_sample": False, "temperature": 0.6, "top_p": 0.9, "eos_token_id": [0], "transformers_version": "4.40.0"}
"""Shipped like that by well-known models; transformers loads them and refuses to write them."""


def test_generation_settings_that_contradict_each_other_are_written_as_they_were(
    random_model: Path, dataset: Path, tmp_path: Path
) -> None:
    model = Path(shutil.copytree(random_model, tmp_path / "model"))
    (model / "generation_config.json").write_text(json.dumps(SETTINGS))
    trained = job(model, dataset, tmp_path / "run", save_every_steps=2)
    run(trained, Reporter(tmp_path / "run"))
    assert any(trained.checkpoints.glob("checkpoint-*"))
    assert json.loads((trained.out / "generation_config.json").read_text()) == SETTINGS
    assert not json.loads((trained.out / "config.json").read_text()).keys() & SETTINGS.keys() - {
        "eos_token_id",
        "transformers_version",
    }


def test_a_place_that_cannot_be_written_is_said_before_the_first_step(
    random_model: Path, dataset: Path, tmp_path: Path
) -> None:
    blocked = job(random_model, dataset, tmp_path / "run")
    blocked.out.rmdir()
    blocked.out.write_text("no folder")
    with pytest.raises(Permanent, match=r"could be trained but not written to .*FileExistsError"):
        run(blocked, Reporter(tmp_path / "run"))
    assert not (tmp_path / "run" / "metrics.jsonl").exists()


def test_a_model_that_its_last_step_has_spoilt_is_not_published(
    random_model: Path, dataset: Path, tmp_path: Path
) -> None:
    """No loss tells: there is none after it, and only what is written is in 16 bits."""
    model = Path(shutil.copytree(random_model, tmp_path / "model"))
    change_weights(model, lambda weights: {name: weight.half() for name, weight in weights.items()})
    change_config(model, dtype="float16")
    settings = {"learning_rate": 1e6, "epochs": 1, "batch_size": 20}
    with pytest.raises(Permanent, match=r"out/model\.safetensors holds .* infinite: .* do not fit into torch.float16"):
        run(job(model, dataset, tmp_path / "run", settings=settings), Reporter(tmp_path / "run"))
