"""A causal language model, or a classifier, from a local folder, in the one way that all who need it load it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
    PretrainedConfig,
    PreTrainedModel,
    __version__,
)
from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

from tasks.errors import Permanent
from tasks.shared.models.files import GENERATION_CONFIG, check_code, local_reader, parsed, shortened
from tasks.shared.models.folder import pads_outside, quantization
from tasks.shared.models.weights import Weights, read_weights

PROBE_TOKENS, PROBE_TOLERANCE = 16, 0.02
"""Tokens that show whether a head is plain, and by what share the two ways to its logits may differ (ours)."""
MOST_SAID = 300
"""Characters of a library's message, which may go on for a page."""
WHOLE_TYPES = {"F64", "F32", "F16", "BF16"}
"""Types in which a parameter means itself; narrower ones need scales, which a `quantization_config` describes."""

TRUST = "it needs code of its own; set runtime.trust_remote_code=true if you trust its *.py"


def load_causal_lm(
    folder: Path,
    *,
    dtype: str | torch.dtype,
    device: str = "",
    attention: str | None = None,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """The model of a folder in evaluation mode: safetensors only, every parameter from them, nothing from a hub.

    Args:
        dtype: torch type or its name; `auto` is the precision of the stored weights.
        device: where the model is moved; empty leaves it where transformers put it, as sharded training needs.
        attention: implementation by transformers' name (`sdpa`, ...); None leaves the choice to transformers.
        trust_remote_code: run model code that ships with the folder.

    Raises:
        Permanent: files are damaged, or the weights are not those of the architecture in config.json.
    """
    return _loaded(AutoModelForCausalLM, folder, dtype, device, attention, trust_remote_code)


def load_classifier(
    folder: Path, *, dtype: str | torch.dtype, device: str = "", trust_remote_code: bool = False
) -> PreTrainedModel:
    """The same of a model whose head gives a sequence its scores, such as a reward model; the head is stored as well.

    Raises:
        Permanent: files are damaged, or the weights are not those of a classifier with the shape in config.json.
    """
    return _loaded(AutoModelForSequenceClassification, folder, dtype, device, None, trust_remote_code)


def _loaded(
    kind: type[AutoModelForCausalLM] | type[AutoModelForSequenceClassification],
    folder: Path,
    dtype: str | torch.dtype,
    device: str,
    attention: str | None,
    trust_remote_code: bool,
) -> PreTrainedModel:
    weights = read_weights(folder)
    config = _config(folder, trust_remote_code)
    # Left alone, transformers takes a model.safetensors even where an index names other files.
    config.transformers_weights = weights.entry
    try:
        model, report = kind.from_pretrained(
            folder,
            config=config,
            dtype=dtype,
            trust_remote_code=trust_remote_code,
            use_safetensors=True,
            local_files_only=True,
            output_loading_info=True,
            ignore_mismatched_sizes=True,
            **({"attn_implementation": attention} if attention else {}),
        )
    except (ImportError, AttributeError, KeyError) as error:  # a quantizer that is not installed, or half described
        raise Permanent(f"{folder} cannot be loaded here: {_said(error)}") from error
    _check_report(folder, report)
    asked = model.get_expanded_tied_weights_keys(all_submodels=True)
    _check_ties(folder, {name: asked[name] for name in asked.keys() - model.all_tied_weights_keys.keys()})
    # Written with a trained model, it would name a file that is not there.
    del model.config.transformers_weights
    return model.to(device) if device else model


def check_architecture(folder: Path, *, classifies: bool = False, trust_remote_code: bool = False) -> None:
    """Load a model without its data: every tensor of the files has its parameter, every parameter its tensor.

    The weights of a quantized checkpoint are known to its own loader alone, whose report is asked for at each load.

    Args:
        classifies: it is a classifier, not a language model.
        trust_remote_code: run model code that ships with the folder.

    Raises:
        Permanent: files are damaged, or the weights are not those of the architecture in config.json.
    """
    weights = read_weights(folder)
    config = _config(folder, trust_remote_code)
    if method := quantization(folder):
        _check_quantization(folder, method)
        return
    kind = AutoModelForSequenceClassification if classifies else AutoModelForCausalLM
    state = {name: torch.empty(stored.shape, device="meta") for name, stored in weights.tensors.items()}
    try:
        with torch.device("meta"):
            model_class = type(kind.from_config(config, trust_remote_code=trust_remote_code))
        model, report = model_class.from_pretrained(
            None,
            config=config,
            state_dict=state,
            device_map={"": "meta"},
            output_loading_info=True,
            ignore_mismatched_sizes=True,
        )
    except Exception as error:  # architectures raise what they like for settings that they cannot be built from
        what = "classifier" if classifies else "causal language model"
        raise Permanent(f"{folder} cannot be read as a {what}: {_said(error)}") from error
    _check_report(folder, report)
    _check_types(folder, weights, model)
    both = {name: of for name, of in model.all_tied_weights_keys.items() if {name, of} <= weights.tensors.keys()}
    _check_ties(folder, {name: of for name, of in both.items() if not torch.equal(*_data(weights, name, of))})


def _check_quantization(folder: Path, method: str) -> None:
    """Refuse a method that nothing here reads; whether its library is installed is seen where it is needed."""
    known = AUTO_QUANTIZATION_CONFIG_MAPPING.keys() - {"bitsandbytes_4bit", "bitsandbytes_8bit"} | {"bitsandbytes"}
    if method not in known:
        raise Permanent(
            f"{folder}: config.json has quantization_config.quant_method={method!r}, which transformers {__version__} "
            f"does not read; it reads {', '.join(sorted(known))}. Give its weights in 16 bits or in one of these"
        )


def _config(folder: Path, trust_remote_code: bool) -> PretrainedConfig:
    """Settings of a model. Without the generation config's end tokens transformers would go on, where it is damaged."""
    if trust_remote_code:
        check_code(folder)
    if (folder / GENERATION_CONFIG).exists():
        parsed(GENERATION_CONFIG, local_reader(folder))
    # With a padding id that is no row of the embedding no model can be built; a tokenizer's is taken in its place.
    padding = {"pad_token_id": None} if pads_outside(folder) else {}
    options = {"local_files_only": True, "trust_remote_code": trust_remote_code}
    try:
        return AutoConfig.from_pretrained(folder, **options, **padding)
    except Exception as error:  # as above
        fix = "" if trust_remote_code or "trust_remote_code" not in str(error) else TRUST
        raise Permanent(f"{folder}: config.json cannot be used: {fix or _said(error)}") from error


def _check_report(folder: Path, report: Mapping[str, Any]) -> None:
    """Refuse weights that leave a parameter to chance, or that belong to no parameter."""
    problems = {
        "missing (they would be drawn at random)": report["missing_keys"],
        "of another shape than config.json asks for": [
            f"{name} {tuple(stored)} instead of {tuple(asked)}" for name, stored, asked in report["mismatched_keys"]
        ],
        "unknown to the architecture in config.json": report["unexpected_keys"],
    }
    found = [f"{what}: {shortened(names)}" for what, names in problems.items() if names]
    if found:
        raise Permanent(
            f"{folder}: weights {'; '.join(found)}. Give the config.json that these weights were saved with, or save "
            "them again from the unwrapped model"
        )


def _check_types(folder: Path, weights: Weights, model: PreTrainedModel) -> None:
    """Refuse parameters in a type that stands for other numbers."""
    for name, _ in model.named_parameters():
        stored = weights.tensors.get(name)
        if stored is not None and stored.dtype not in WHOLE_TYPES:
            raise Permanent(
                f"{folder}: {name} is stored as {stored.dtype}, and config.json has no quantization_config with its "
                "scales; fetch the model's own config.json, or weights in 16 bits"
            )


def _check_ties(folder: Path, different: Mapping[str, str]) -> None:
    """Refuse weights that are one by config.json and two in the files: loaders disagree on what that means."""
    for name, of in different.items():
        raise Permanent(
            f"{folder}: config.json ties {name} to {of}, but the files hold two different tensors; set "
            "tie_word_embeddings to false there if both are meant, or leave out the one that is not"
        )


def _data(weights: Weights, *names: str) -> list[torch.Tensor]:
    tensors = []
    for name in names:
        with safe_open(weights.tensors[name].file, framework="pt") as stream:
            tensors.append(stream.get_tensor(name))
    return tensors


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:MOST_SAID]}"


def end_token_ids(config: GenerationConfig | None, eos_token_id: int | None) -> list[int]:
    """Every token that ends a completion: those of the generation config and the tokenizer's own.

    Raises:
        ValueError: there is none.
    """
    configured = config.eos_token_id if config is not None else None
    listed = configured if isinstance(configured, list) else [configured]
    ids = sorted({int(token) for token in (*listed, eos_token_id) if token is not None})
    if not ids:
        raise ValueError("the model names no end token (eos_token_id), so that no completion could ever end")
    return ids


@torch.inference_mode()
def is_plain_head(model: PreTrainedModel) -> bool:
    """Whether the logits are the output layer applied to the last hidden state, so that they can be made in parts.

    False for models that scale or cap them (Gemma 2, Cohere).
    """
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(min(PROBE_TOKENS, vocabulary), device=model.device)[None]
    whole = model(input_ids=ids).logits.float()
    parts = model.get_output_embeddings()(model.base_model(input_ids=ids).last_hidden_state).float()
    return bool((whole - parts).abs().max() <= PROBE_TOLERANCE * parts.abs().max())
