"""TRL's fused LM head, made to score on a CPU only the positions that have a label.

TRL 1.16 projects every position there (prompts and padding too), into a buffer 32,768 columns wide whatever the
vocabulary; on accelerators it already skips them. The replacement calls the same kernel and returns the same output.
"""

import functools
import types
from typing import Any

import torch
from transformers import PreTrainedModel
from trl.kernels.chunked_logprob import ChunkedLogProbFunction
from trl.trainer.utils import FusedCausalLMOutput, add_fused_lm_head

from tasks.shared.training.adapters import base_model
from tasks.shared.training.distributed import sharding

_MAX_COLUMNS = 32768
_UNSUPPORTED = ("final_logit_softcapping", "logit_scale", "logits_scaling", "lm_head_multiplier", "output_multiplier")


def use_compact_head(model: PreTrainedModel, temperature: float, outputs: tuple[str, ...]) -> bool:
    """Replace the fused head that a TRL trainer put on `model`, where that helps; returns whether it did.

    Left alone are accelerators; models that will be sharded, which lie on a CPU only until then, and whose output layer
    TRL's head gathers; and models whose logits are scaled or capped or that return router logits.

    Args:
        model: a causal language model on which `trl.trainer.utils.add_fused_lm_head` was called.
        temperature: what the logits are divided by.
        outputs: per-token fields to compute, as TRL names them (`log_probs`, `entropy`, `is_top1`, ...).
    """
    model = base_model(model)
    text_config = model.config.get_text_config()
    special = any(getattr(text_config, name, None) is not None for name in _UNSUPPORTED)
    if model.device.type != "cpu" or sharding() or special or hasattr(text_config, "output_router_logits"):
        return False
    fused_forward = model.forward

    def forward(self: PreTrainedModel, *args: Any, fused_lm_head: bool = False, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return fused_forward(*args, **kwargs)
        return _score(self, temperature, outputs, *args, **kwargs)

    model.forward = types.MethodType(forward, model)
    return True


def reward_entropy(model: PreTrainedModel, weight: float) -> None:
    """Have the head of a TRL trainer add `weight` times a token's entropy to its log-probability.

    The trainer's loss, the mean of -log p, then is that of -log p - weight * H. Call it after the head is in place; it
    must compute `entropy`.
    """
    model = base_model(model)
    scoring = model.forward

    # `generate` reads the signature.
    @functools.wraps(type(model).forward)
    def forward(self: PreTrainedModel, *args: Any, fused_lm_head: bool = False, **kwargs: Any) -> Any:
        if not fused_lm_head:
            return scoring(*args, **kwargs)
        output = scoring(*args, fused_lm_head=True, **kwargs)
        output.log_probs = output.log_probs + weight * output.entropy
        return output

    model.forward = types.MethodType(forward, model)


def add_text_head(model: PreTrainedModel) -> None:
    """Let `model(..., labels=labels, text_head=True)` score labels at temperature 1, beside the head of a TRL trainer.

    That head divides the logits by the temperature of rollouts; plain text is learned as it stands. The output is
    TRL's, with `log_probs` alone. Call it after the trainer's head is in place.
    """
    model = base_model(model)
    original = model.forward
    add_fused_lm_head(model, temperature=1.0, outputs=("log_probs",))
    use_compact_head(model, temperature=1.0, outputs=("log_probs",))
    scoring = model.forward

    # `generate` reads the signature.
    @functools.wraps(type(model).forward)
    def forward(self: PreTrainedModel, *args: Any, text_head: bool = False, **kwargs: Any) -> Any:
        return scoring(*args, fused_lm_head=True, **kwargs) if text_head else original(*args, **kwargs)

    model.forward = types.MethodType(forward, model)


def add_state_head(model: PreTrainedModel) -> None:
    """Let `model(..., state_head=True)` return its last hidden states, (rows, width, size), and no logits."""
    model = base_model(model)
    original = model.forward

    # `generate` reads the signature.
    @functools.wraps(type(model).forward)
    def forward(self: PreTrainedModel, *args: Any, state_head: bool = False, **kwargs: Any) -> Any:
        if not state_head:
            return original(*args, **kwargs)
        return self.base_model(*args, **kwargs, use_cache=False).last_hidden_state

    model.forward = types.MethodType(forward, model)


def _score(
    model: PreTrainedModel,
    temperature: float,
    outputs: tuple[str, ...],
    *args: Any,
    labels: torch.Tensor,
    num_items_in_batch: Any = None,
    **kwargs: Any,
) -> FusedCausalLMOutput:
    kwargs["use_cache"] = False
    hidden = model.base_model(*args, **kwargs).last_hidden_state[:, :-1]
    targets = labels[:, 1:]
    mask = targets != -100
    head = model.get_output_embeddings()
    columns = min(head.weight.shape[0], _MAX_COLUMNS)
    scored = ChunkedLogProbFunction.apply(
        hidden[mask], head.weight, head.bias, targets[mask], temperature, columns, None, 1.0, outputs
    )
    fields = [None if x is None else x.new_zeros(mask.shape).masked_scatter(mask, x) for x in scored]
    log_probs, entropy, log_sum_sq_probs, mean_logits, is_top1 = fields
    count = mask.sum().clamp(min=1) if num_items_in_batch is None else num_items_in_batch
    return FusedCausalLMOutput(
        loss=-log_probs.sum() / count,
        log_probs=log_probs,
        entropy=entropy,
        log_sum_sq_probs=log_sum_sq_probs,
        mean_logits=mean_logits,
        is_top1=is_top1,
        label_mask=mask,
    )
