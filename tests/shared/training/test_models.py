"""The model that a training starts from, however often it is loaded."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch._dynamo.utils import counters as dynamo_counters
from transformers import AutoModelForCausalLM, GPT2Config

from tasks.errors import Permanent
from tasks.shared.models.files import SINGLE
from tasks.shared.training.config import TrainJob
from tasks.shared.training.distributed import join
from tasks.shared.training.models import compile_layers, load, machine_arguments
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


@pytest.mark.parametrize(("gpu", "optimizer"), [(False, "adamw_torch"), (True, "adamw_torch_fused")])
def test_on_a_gpu_adamw_is_fused_and_layers_are_computed_again(
    gpu: bool, optimizer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The estimate of memory counts on both."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu)
    job = TrainJob(model=tmp_path, data=tmp_path, out=tmp_path / "out", checkpoints=tmp_path / "steps")
    arguments = machine_arguments(job)
    assert (arguments["optim"], arguments["gradient_checkpointing"]) == (optimizer, gpu)


def test_a_process_without_a_launcher_that_sees_two_gpus_is_refused_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """TRL's trainers would refuse it after the model is loaded and every prompt read."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    job = TrainJob(model=tmp_path, data=tmp_path, out=tmp_path / "out", checkpoints=tmp_path / "steps")
    with pytest.raises(Permanent, match=r"sees 2 CUDA devices.*set CUDA_VISIBLE_DEVICES to one.*num_processes"):
        join(job)
    join(job.model_copy(update={"device": "cpu"}))
    monkeypatch.setenv("LOCAL_RANK", "0")
    join(job)


def test_compiled_layers_have_the_losses_gradients_and_names_of_the_others(random_model: Path, tmp_path: Path) -> None:
    """Compiled ones are computed again in the backward pass, as on a GPU."""
    job = TrainJob(model=random_model, data=tmp_path, out=tmp_path / "out", checkpoints=tmp_path / "steps")
    found = []
    for backend in ("", "aot_eager"):
        model, _ = load(job.model_copy(update={"compile_backend": backend}))
        if backend:
            model.train().gradient_checkpointing_enable()
        for length in (9, 14):
            ids = torch.arange(2 * length).reshape(2, length)
            model(input_ids=ids, labels=ids).loss.backward()
        found.append({name: weight.grad for name, weight in model.named_parameters()})
    assert dynamo_counters["frames"]["ok"] >= 1
    torch.testing.assert_close(found[1], found[0])


def test_a_model_without_marked_layers_is_refused_where_they_are_to_be_compiled() -> None:
    model = AutoModelForCausalLM.from_config(
        GPT2Config(n_embd=8, n_head=1, n_layer=1, vocab_size=16), attn_implementation="eager"
    )
    model.transformer.h = torch.nn.ModuleList([torch.nn.Linear(8, 8)])
    with pytest.raises(Permanent, match=r"compile_backend='inductor': a model of type 'gpt2' has no layers"):
        compile_layers(model, "inductor")
