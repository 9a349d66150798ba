"""Whether a model's logits are its output layer and nothing else, so that they can be computed in parts."""

import torch
from transformers import PreTrainedModel

PROBE_TOKENS, PROBE_TOLERANCE = 16, 0.02
"""Tokens that show it, and by what share the two may differ."""


@torch.inference_mode()
def is_plain_head(model: PreTrainedModel) -> bool:
    """False for models that scale or cap the logits of the last hidden state (Gemma 2, Cohere)."""
    vocabulary = model.config.get_text_config().vocab_size
    ids = torch.arange(min(PROBE_TOKENS, vocabulary), device=model.device)[None]
    whole = model(input_ids=ids).logits.float()
    parts = model.get_output_embeddings()(model.base_model(input_ids=ids).last_hidden_state).float()
    return bool((whole - parts).abs().max() <= PROBE_TOLERANCE * parts.abs().max())
