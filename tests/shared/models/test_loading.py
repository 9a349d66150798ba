"""A model is loaded from its own weights or not at all: nothing is drawn at random, nothing is left over."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import Gemma2Config, Gemma2ForCausalLM, Qwen3MoeConfig, Qwen3MoeForCausalLM

from tasks.errors import Permanent
from tasks.shared.engines.protocol import Request, Sampling
from tasks.shared.engines.vllm_engine import VllmEngine
from tasks.shared.models.causal_lm import check_architecture, load_causal_lm
from tasks.shared.models.files import INDEX, SINGLE
from tests.support.base_models import change_config, change_weights, shard

Weights = dict[str, torch.Tensor]


@pytest.fixture
def folder(random_model: Path, tmp_path: Path) -> Path:
    """A model of its own for each test, to be spoilt."""
    return Path(shutil.copytree(random_model, tmp_path / "model"))


def wrapped(weights: Weights) -> Weights:
    return {("_orig_mod." + name if ".layers.1." in name else name): value for name, value in weights.items()}


def without_norm(weights: Weights) -> Weights:
    return {name: value for name, value in weights.items() if name != "model.norm.weight"}


def wider(weights: Weights) -> Weights:
    return weights | {"model.norm.weight": torch.ones(50)}


def with_value_head(weights: Weights) -> Weights:
    return weights | {"v_head.weight": torch.ones(1, 48)}


def with_another_head(weights: Weights) -> Weights:
    return weights | {"lm_head.weight": weights["model.embed_tokens.weight"] + 1}


SPOILT: list[tuple[Callable[[Weights], Weights], str]] = [
    (
        wrapped,
        r"missing \(they would be drawn at random\): model\.layers\.1\.input_layernorm\.weight, .* and 5 more; un",
    ),
    (without_norm, r"drawn at random\): model\.norm\.weight\. Give"),
    (wider, r"of another shape than config\.json asks for: model\.norm\.weight \(50,\) instead of \(48,\)"),
    (with_value_head, r"unknown to the architecture in config\.json: v_head\.weight"),
    (with_another_head, r"ties lm_head\.weight to model\.embed_tokens\.weight, .* set tie_word_embeddings to false"),
]


@pytest.mark.parametrize(("spoil", "message"), SPOILT)
def test_weights_that_are_not_the_architectures_are_refused_at_import_and_at_load(
    folder: Path, spoil: Callable[[Weights], Weights], message: str
) -> None:
    change_weights(folder, spoil)
    with pytest.raises(Permanent, match=message):
        check_architecture(folder)
    with pytest.raises(Permanent, match=message):
        load_causal_lm(folder, dtype="float32")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"num_hidden_layers": 1}, r"unknown to the architecture .*model\.layers\.1\."),
        ({"num_hidden_layers": 3}, r"drawn at random\): model\.layers\.2\."),
        ({"tie_word_embeddings": False}, r"drawn at random\): lm_head\.weight"),
        ({"vocab_size": 300}, r"model\.embed_tokens\.weight \(258, 48\) instead of \(300, 48\)"),
        ({"model_type": "nothing"}, "config.json cannot be used: ValueError: "),
        ({"hidden_size": "wide"}, r"config\.json cannot be used: .*Field 'hidden_size' expected int"),
        ({"model_type": "nothing", "auto_map": {"AutoConfig": "own.Own"}}, r"set runtime\.trust_remote_code=true"),
    ],
)
def test_a_config_of_another_model_is_refused_at_import_and_at_load(
    folder: Path, config: dict[str, object], message: str
) -> None:
    change_config(folder, **config)
    with pytest.raises(Permanent, match=message):
        check_architecture(folder)
    with pytest.raises(Permanent, match=message):
        load_causal_lm(folder, dtype="float32")


def test_a_config_that_no_model_can_be_built_from_is_said_in_a_line(folder: Path) -> None:
    change_config(folder, hidden_act="none that exists")
    with pytest.raises(Permanent, match=r"^.* as a causal language model: KeyError: 'none that exists'$"):
        check_architecture(folder)


@pytest.mark.parametrize("method", ["bitsandbytes", "gptq", "compressed-tensors"])
def test_a_quantized_model_that_cannot_be_loaded_here_is_not_tried_again(folder: Path, method: str) -> None:
    change_config(folder, quantization_config={"quant_method": method, "load_in_4bit": True, "bits": 4})
    with pytest.raises(Permanent, match="cannot be loaded here: "):
        load_causal_lm(folder, dtype="float32")


def test_a_quantization_that_nothing_reads_is_refused_by_name(folder: Path) -> None:
    change_config(folder, quantization_config={"quant_method": "gptq", "bits": 4})
    check_architecture(folder)
    for config, name in (({"quant_method": "own-4bit"}, "own-4bit"), ({"bits": 4}, "unnamed")):
        change_config(folder, quantization_config=config)
        with pytest.raises(Permanent, match=rf"quant_method='{name}', which .* it reads .*gptq.* in 16 bits"):
            check_architecture(folder)


def test_generation_settings_that_cannot_be_read_are_not_replaced_by_others(folder: Path) -> None:
    (folder / "generation_config.json").write_text("<html>")
    with pytest.raises(Permanent, match=r"generation_config\.json is damaged"):
        load_causal_lm(folder, dtype="float32")


def test_weights_in_a_type_that_needs_scales_are_refused_without_them(folder: Path) -> None:
    change_weights(folder, lambda weights: {name: value.to(torch.float8_e4m3fn) for name, value in weights.items()})
    with pytest.raises(Permanent, match=r"embed_tokens\.weight is stored as F8_E4M3, .* no quantization_config"):
        check_architecture(folder)


def test_whole_models_pass_whatever_they_tie_rename_merge_or_pad_with(folder: Path, tmp_path: Path) -> None:
    """Names of the files are the architecture's after the loader's own changes: prefixes, experts, ties."""
    change_weights(folder, lambda weights: {name.removeprefix("model."): value for name, value in weights.items()})
    change_config(folder, pad_token_id=5_000)
    small = {"vocab_size": 8, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "head_dim": 4}
    heads = {"num_attention_heads": 2, "num_key_value_heads": 2}
    experts = Qwen3MoeConfig(**small, **heads, num_experts=2, num_experts_per_tok=1, moe_intermediate_size=4)
    Qwen3MoeForCausalLM(experts).save_pretrained(tmp_path / "experts")
    Gemma2ForCausalLM(Gemma2Config(**small, **heads)).save_pretrained(tmp_path / "tied")
    change_weights(tmp_path / "tied", lambda it: it | {"lm_head.weight": it["model.embed_tokens.weight"].clone()})
    for model in (folder, tmp_path / "experts", tmp_path / "tied"):
        check_architecture(model)
        load_causal_lm(model, dtype="float32")


def test_vllm_does_not_start_with_weights_that_are_not_the_architectures(folder: Path) -> None:
    change_weights(folder, with_value_head)
    engine = VllmEngine(folder, device="cpu", dtype="float32")
    with pytest.raises(Permanent, match=r"v_head\.weight"):
        list(engine.stream([Request("k", "Q: 1 + 1 = ?\nA:", 0)], Sampling(max_new_tokens=4)))


def test_an_index_decides_over_older_weights_beside_it(folder: Path) -> None:
    whole = load_file(folder / SINGLE)
    shard(folder)
    save_file({name: value + 1 for name, value in whole.items()}, folder / SINGLE, metadata={"format": "pt"})
    save_file({"layers.0.attention.wq.weight": torch.ones(2)}, folder / "consolidated.safetensors")
    check_architecture(folder)
    loaded = load_causal_lm(folder, dtype="float32")
    assert torch.equal(loaded.state_dict()["model.norm.weight"], whole["model.norm.weight"])
    assert not hasattr(loaded.config, "transformers_weights")


def test_weights_under_a_name_of_their_own_are_loaded_and_saved_under_the_usual_one(
    folder: Path, tmp_path: Path
) -> None:
    (folder / SINGLE).rename(folder / "best.safetensors")
    change_config(folder, transformers_weights="best.safetensors")
    load_causal_lm(folder, dtype="float32").save_pretrained(tmp_path / "saved")
    assert "transformers_weights" not in json.loads((tmp_path / "saved" / "config.json").read_text())
    load_causal_lm(tmp_path / "saved", dtype="float32")


def test_a_missing_shard_stops_a_load(folder: Path) -> None:
    shard(folder)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(Permanent, match=rf"{INDEX} names model-00002-of-00002\.safetensors: not there"):
        load_causal_lm(folder, dtype="float32")


def test_code_of_another_repository_is_never_run(folder: Path) -> None:
    change_config(folder, auto_map={"AutoModelForCausalLM": "org/elsewhere--modeling.Model"})
    with pytest.raises(Permanent, match=r"another repository \(org/elsewhere--modeling\.Model\)"):
        load_causal_lm(folder, dtype="float32", trust_remote_code=True)
    load_causal_lm(folder, dtype="float32")
