"""The model that a training starts from, however often it is loaded."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM

from tasks.errors import Permanent
from tasks.shared.models.files import SINGLE
from tasks.shared.training.config import TrainJob
from tasks.shared.training.models import load
from tests.support.base_models import change_config, shard


def test_a_reference_model_has_the_weights_of_the_policy_though_older_ones_lie_beside(
    random_model: Path, tmp_path: Path
) -> None:
    """TRL loads the reference model from the place that the policy's config names."""
    folder = Path(shutil.copytree(random_model, tmp_path / "base"))
    whole = load_file(folder / SINGLE)
    shard(folder)
    save_file({name: value + 1 for name, value in whole.items()}, folder / SINGLE, metadata={"format": "pt"})
    job = TrainJob(model=folder, data=folder, out=tmp_path / "work" / "out", checkpoints=tmp_path / "work" / "steps")
    for _ in range(2):
        policy, _ = load(job)
        reference = AutoModelForCausalLM.from_pretrained(policy.config._name_or_path)
        for model in (policy, reference):
            assert torch.equal(model.state_dict()["model.norm.weight"], whole["model.norm.weight"])


def test_a_model_with_weights_of_its_own_alone_is_loaded_where_it_lies(random_model: Path, tmp_path: Path) -> None:
    job = TrainJob(model=random_model, data=tmp_path, out=tmp_path / "out", checkpoints=tmp_path / "steps")
    policy, _ = load(job)
    assert policy.config._name_or_path == str(random_model)


def test_no_training_starts_from_quantized_weights(random_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(random_model, tmp_path / "base"))
    change_config(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    job = TrainJob(model=folder, data=tmp_path, out=tmp_path / "out", checkpoints=tmp_path / "steps")
    with pytest.raises(Permanent, match=r"is quantized \(gptq\).* give its weights in 16 bits"):
        load(job)
