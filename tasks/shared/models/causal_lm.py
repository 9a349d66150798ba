"""A causal language model from a local folder, in the one way that trainers, engines and scorers load it."""

from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, GenerationConfig, PreTrainedModel

from tasks.shared.models.folder import pads_outside

PROBE_TOKENS, PROBE_TOLERANCE = 16, 0.02
"""Tokens that show whether a head is plain, and by what share the two ways to its logits may differ (ours)."""


def load_causal_lm(
    folder: Path,
    *,
    dtype: str | torch.dtype,
    device: str = "",
    attention: str | None = None,
    trust_remote_code: bool = False,
) -> PreTrainedModel:
    """The model of a folder in evaluation mode: safetensors only, and nothing is fetched from a hub.

    Args:
        dtype: torch type or its name; `auto` is the precision of the stored weights.
        device: where the model is moved; empty leaves it where transformers put it, as sharded training needs.
        attention: implementation by transformers' name (`sdpa`, ...); None leaves the choice to transformers.
        trust_remote_code: run model code that ships with the folder.
    """
    model = AutoModelForCausalLM.from_pretrained(
        folder,
        dtype=dtype,
        trust_remote_code=trust_remote_code,
        use_safetensors=True,
        local_files_only=True,
        **({"pad_token_id": None} if pads_outside(folder) else {}),
        **({"attn_implementation": attention} if attention else {}),
    )
    return model.to(device) if device else model


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
