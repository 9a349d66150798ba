"""Which models can be decoded over slots: tried, and read from their config where a short try cannot tell."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakKeyDictionary

import torch
from transformers import PretrainedConfig, PreTrainedModel

from tasks.shared.engines.decoding.attention import IMPLEMENTATION
from tasks.shared.engines.decoding.passes import JoinPass, StepPass, forward, read_prefix
from tasks.shared.engines.decoding.slot_cache import SlotCache

log = logging.getLogger(__name__)

PROBE = ((5, 9, 6, 3, 8, 4, 7, 5, 6, 9), (5, 9, 6, 3, 8, 4, 7, 8))
"""Tokens that every vocabulary has: two prompts, of which all but the last few tokens are the same."""
PROBE_SHARED = 6
EXACT_TOLERANCE = 1e-3
"""The same in float32. Ours."""
COARSE_TOLERANCE = 0.05
"""Largest difference, as a share of the largest logit, where weights or autocast have less than 32 bits. Ours."""
MOVING_ANGLES = ("longrope", "dynamic")
"""Kinds of rotary embedding whose angles depend on the longest row: a beginning that was read before has others."""
_known: WeakKeyDictionary[PreTrainedModel, bool] = WeakKeyDictionary()


def has_slots(model: PreTrainedModel) -> bool:
    """Whether the model's logits over slots are those of a plain pass: tried once for each model."""
    if model not in _known:
        try:
            reason = _difference(model)
        except Exception as error:
            reason = str(error)
        if reason:
            log.warning("decoding without shared beginnings: the model's attention cannot go over slots: %s", reason)
        _known[model] = not reason
    return _known[model]


@torch.inference_mode()
def _difference(model: PreTrainedModel) -> str:
    """What stands against slots; empty where nothing does."""
    config = model.config.get_text_config()
    if moving := _rotary_kinds(config) & set(MOVING_ANGLES):
        return f"its rotary embedding is of the kind {', '.join(sorted(moving))}"
    plain = [
        model(input_ids=torch.tensor([prompt], device=model.device), use_cache=False, logits_to_keep=1).logits[0, -1]
        for prompt in PROBE
    ]
    with slots_of(model):
        cache = SlotCache(len(PROBE), model.device)
        prefix = read_prefix(model, PROBE[0][:PROBE_SHARED])
        forward(model, JoinPass(cache, prefix, [prompt[PROBE_SHARED:-1] for prompt in PROBE], [1] * len(PROBE)))
        last = torch.tensor([[prompt[-1]] for prompt in PROBE], device=model.device)
        slots = forward(model, StepPass(cache, last))
    if unseen := _windows(config) - prefix.windows:
        return f"a window of {', '.join(map(str, sorted(unseen)))} tokens stands in its mask alone"
    expected = torch.stack(plain).float()
    exact = model.dtype == torch.float32 and not torch.is_autocast_enabled(model.device.type)
    tolerance = EXACT_TOLERANCE if exact else COARSE_TOLERANCE
    off = float((slots.float() - expected).abs().max() / expected.abs().max())
    return "" if off <= tolerance else f"its logits differ by {off:.1g} of the largest"


def _rotary_kinds(config: PretrainedConfig) -> set[str]:
    """Kinds of rotary embedding, of all layers or by kind of layer."""
    named = getattr(config, "rope_parameters", None) or {}
    parts = [part for part in named.values() if isinstance(part, dict)] or [named]
    return {part.get("rope_type", "default") for part in parts}


def _windows(config: PretrainedConfig) -> set[int]:
    """Windows that some layer has by the config."""
    kinds = getattr(config, "layer_types", None)
    if kinds and not {"sliding_attention", "chunked_attention"} & set(kinds):
        return set()
    named = (getattr(config, name, None) for name in ("sliding_window", "attention_chunk_size"))
    return {window for window in named if isinstance(window, int)}


@contextmanager
def slots_of(model: PreTrainedModel) -> Iterator[None]:
    """Let the model's attention go over slots."""
    former = model.config._attn_implementation
    if former == IMPLEMENTATION:
        raise RuntimeError("two decode loops on one model at once")
    model.set_attn_implementation(IMPLEMENTATION)
    try:
        yield
    finally:
        model.set_attn_implementation(former)
