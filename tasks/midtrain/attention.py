"""Attention of packed rows without a mask: each example by itself, all in one flash kernel on a GPU.

A block-diagonal mask costs memory and time in the square of a row, and keeps the flash kernels away.
"""

from typing import Any

import torch
from torch.nn import functional
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward

NAME = "packed_examples"
_OF_ITS_OWN = ("sliding_window", "attn_logit_softcapping", "attention_chunk_size", "attention_dropout", "layer_types")
"""Settings of models whose attention is more than causal, unless they are empty or of full attention alone."""
_FLASH = (torch.bfloat16, torch.float16)
_LARGEST_HEAD = 256
"""Head size of the flash kernels."""
_HEAD_STEP = 8
"""Their head sizes are multiples of this."""


def attend_by_example(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    borders: torch.Tensor | None = None,
    longest: int = 0,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Causal attention inside each example; without borders, inside each row.

    Args:
        query, key, value: (rows, heads, width, head size); keys and values may have fewer heads.
        borders: starts of the examples in the rows laid end to end, and the end of the last.
        longest: tokens of the longest example.
    """
    if borders is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
    device, (rows, _, width, _) = query.device.type, query.shape
    dtype = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else value.dtype
    # (tokens, heads, head size), all rows end to end.
    flat = [part.transpose(1, 2).flatten(0, 1).to(dtype) for part in (query, key, value)]
    size = query.shape[-1]
    if device == "cuda" and dtype in _FLASH and size == value.shape[-1] <= _LARGEST_HEAD and size % _HEAD_STEP == 0:
        causal = (-1, 0)
        output = varlen_attn(
            *flat, borders, borders, longest, longest, scale=scaling, window_size=causal, enable_gqa=True
        )
    else:
        sizes = borders.diff().tolist()
        examples = zip(*(part.transpose(0, 1)[None].split(sizes, dim=2) for part in flat), strict=True)
        output = torch.cat([_attend(*example, scaling) for example in examples], dim=2)[0].transpose(0, 1).contiguous()
    return output.unflatten(0, (rows, width)), None


def _attend(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, scaling: float | None) -> torch.Tensor:
    return functional.scaled_dot_product_attention(
        query, key, value, is_causal=True, scale=scaling, enable_gqa=query.shape[1] != key.shape[1]
    )


AttentionInterface.register(NAME, attend_by_example)


def use_attention_by_example(model: PreTrainedModel) -> bool:
    """Give the model this attention where its own is plainly causal; returns whether it did.

    Others keep theirs, with the mask that transformers makes of restarting positions.
    """
    config = model.config.get_text_config()
    own = {name: getattr(config, name, None) for name in _OF_ITS_OWN}
    own["layer_types"] = set(own["layer_types"] or ()) - {"full_attention"}
    sinks = any("sinks" in name for name, _ in model.named_parameters())
    if any(own.values()) or sinks or not model._supports_attention_backend or not model._supports_sdpa:
        return False
    model.set_attn_implementation(NAME)
    return True
