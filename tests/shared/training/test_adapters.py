"""Adapters: where they go, what they amount to, and that nothing else changes."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from peft import get_peft_model

from tasks.errors import Permanent
from tasks.midtrain.config import MidtrainConfig
from tasks.recipe.loading import load as load_recipe
from tasks.recipe.merging import RecipeError
from tasks.recipe.polya import PolyaRecipe
from tasks.shared.models.causal_lm import load_causal_lm
from tasks.shared.models.config import ModelConfig
from tasks.shared.models.resolve import resolve
from tasks.shared.training.adapters import adapters, base_model, lora_config, merged_weights, write_adapters
from tasks.shared.training.config import LoRA, TrainJob
from tasks.spine.stage.imports import hide_packages
from tasks.spine.store.fingerprint import fingerprint
from tasks.spine.store.settings import Settings

with hide_packages("mlflow", "vllm"):
    from trl.distributed import DistributedBackend
    from trl.generation.vllm_generation import VLLMGeneration


def with_adapters(folder: Path, dtype: str = "float32", **lora: Any) -> Any:
    """The model with adapters that do something: a fresh B is zero."""
    model = load_causal_lm(folder, dtype=dtype)
    model = get_peft_model(model, lora_config(model, LoRA(**{"rank": 4, "alpha": 8, **lora})))
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.1)
    return model


def test_all_linear_layers_but_the_output_layer_get_adapters_and_alone_train(random_model: Path) -> None:
    model = with_adapters(random_model)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained == {name for name, _ in model.named_parameters() if ".lora_" in name}
    assert len(trained) == 2 * 7 * 2
    assert not any("lm_head" in name or "embed" in name for name in trained)


def test_targets_name_layers_and_one_that_names_none_is_refused_with_those_there_are(random_model: Path) -> None:
    trained = [
        name for name, weight in with_adapters(random_model, targets=["v_proj"]).named_parameters() if "lora" in name
    ]
    assert len(trained) == 2 * 2
    assert all(".v_proj." in name for name in trained)
    for unknown in ("query", "lm_head", "norm"):
        with pytest.raises(Permanent, match=rf"no linear layer '{unknown}'.* there are: down_proj, gate_proj, k_proj"):
            with_adapters(random_model, targets=["v_proj", unknown])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_merging_adds_the_adapters_in_float32_and_leaves_the_frozen_weights_as_they_are(
    dtype: str, random_model: Path
) -> None:
    """These are the weights that vLLM gets before each batch of rollouts, too."""
    frozen = load_causal_lm(random_model, dtype=dtype)
    model = with_adapters(random_model, dtype)
    merged = dict(merged_weights(model))
    assert list(merged) == [name for name, _ in frozen.named_parameters()]
    for name, weight in frozen.named_parameters():
        layer = base_model(model).get_submodule(name.rpartition(".")[0])
        kept = getattr(layer, "base_layer", layer).weight
        assert torch.equal(kept, weight)
        change = merged[name].float() - weight.float()
        delta = layer.get_delta_weight("default") if hasattr(layer, "base_layer") else torch.zeros_like(change)
        assert delta.dtype == torch.float32
        torch.testing.assert_close(change, delta, atol=1e-6, rtol=0)


@pytest.mark.parametrize(
    ("settings", "held"),
    [
        ({"dtype": "bfloat16", "lora": {}}, torch.bfloat16),
        ({"dtype": "float32", "lora": {}}, torch.float32),
        ({"dtype": "bfloat16"}, torch.float32),
    ],
)
def test_frozen_weights_are_held_as_stored_under_passes_in_bfloat16_and_the_rest_in_float32(
    settings: dict[str, Any], held: torch.dtype, random_model: Path, tmp_path: Path
) -> None:
    load_causal_lm(random_model, dtype="bfloat16").save_pretrained(tmp_path)
    job = TrainJob(model=tmp_path, data=tmp_path, out=tmp_path, checkpoints=tmp_path)
    model = load_causal_lm(tmp_path, dtype="float32")
    put_on = adapters(model, MidtrainConfig(**settings), job)
    assert {weight.dtype for weight in model.parameters()} == {held}
    assert {buffer.dtype for buffer in model.buffers()} == {torch.float32}
    if put_on:
        trained = [weight for weight in get_peft_model(model, put_on).parameters() if weight.requires_grad]
        assert {weight.dtype for weight in trained} == {torch.float32}


def test_vllm_gets_the_names_and_weights_that_trl_would_send_it(random_model: Path) -> None:
    model = with_adapters(random_model)
    # Without its engine, which needs a GPU.
    sender = VLLMGeneration.__new__(VLLMGeneration)
    sender.model, sender._dist = model, DistributedBackend(Accelerator(cpu=True))
    sent = {name: weight.clone() for name, weight in sender._iter_named_params()}
    merged = dict(merged_weights(model))
    assert sent.keys() == merged.keys()
    for name, weight in merged.items():
        torch.testing.assert_close(weight, sent[name], atol=1e-6, rtol=0)


def test_a_model_is_known_by_its_weights_and_not_by_adapters_beside_them(random_model: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(random_model, tmp_path / "model"))
    settings = Settings(home=tmp_path / "home")
    alone = resolve(ModelConfig(source=str(folder)), settings)
    write_adapters(with_adapters(random_model), "model/base", folder / "adapter")
    assert {path.name for path in (folder / "adapter").iterdir()} == {
        "adapter_config.json",
        "adapter_model.safetensors",
    }
    written = json.loads((folder / "adapter" / "adapter_config.json").read_text())
    assert written["base_model_name_or_path"] == "model/base"
    assert written["target_modules"] == sorted(written["target_modules"])
    assert resolve(ModelConfig(source=str(folder)), settings) == alone


@pytest.mark.parametrize("sharding", [{"ACCELERATE_USE_FSDP": "true"}, {"ACCELERATE_USE_DEEPSPEED": "true"}])
def test_a_sharded_model_gets_no_adapters(
    sharding: dict[str, str], random_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in sharding.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(Permanent, match=r"runtime\.distribution=ddp"):
        with_adapters(random_model)


@pytest.mark.parametrize("section", ["midtrain", "rl"])
def test_a_recipe_that_would_shard_them_is_refused_before_any_stage(section: str) -> None:
    sharded = {"runtime.num_processes": 2, "runtime.distribution": "fsdp2"}
    load_recipe(PolyaRecipe, "tiny-cpu", sharded)
    with pytest.raises(RecipeError, match=rf"{section}\.lora .* runtime\.distribution=fsdp2.* ddp"):
        load_recipe(PolyaRecipe, "tiny-cpu", {**sharded, f"{section}.lora.rank": 8})


def test_adapters_are_part_of_a_stages_identity_and_full_training_keeps_the_key_it_had() -> None:
    def key(**settings: Any) -> str:
        return fingerprint("midtrain", 3, MidtrainConfig(**settings), {})

    payload = MidtrainConfig().identity_payload()
    assert payload.keys() == MidtrainConfig.model_fields.keys() - {"lora", "entropy_coef"}
    small, large = {"rank": 8}, {"rank": 16}
    keys = {key(), key(lora=small), key(lora=large), key(lora={**small, "alpha": 8}), key(lora={"targets": ["q_proj"]})}
    assert len(keys) == 5
    assert key(lora={"targets": ["q_proj", "k_proj"]}) == key(lora={"targets": ["k_proj", "q_proj", "k_proj"]})
