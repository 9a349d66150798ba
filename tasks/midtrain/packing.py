"""Whether packed examples stay apart in the very model that is to be trained, and the attention that keeps them so."""

import logging
from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from tasks.errors import Permanent
from tasks.midtrain.attention import NAME, use_attention_by_example
from tasks.midtrain.batching import Row
from tasks.midtrain.collate import lay_out
from tasks.midtrain.encoding import TrainingExample
from tasks.shared.training.config import IGNORED

log = logging.getLogger(__name__)

PROBE_TOLERANCE = 1e-3
"""Largest difference of a token loss that rounding explains."""


def settle_packing(model: PreTrainedModel, examples: Sequence[TrainingExample], section: str) -> None:
    """Give the model attention by example where it serves this one, else leave it its own, with a mask.

    Every process asks its own copy, so that all come to the same.

    Raises:
        Permanent: as `check_packing`, of the model's own attention.
    """
    own = model.config._attn_implementation
    if use_attention_by_example(model):
        try:
            return check_packing(model, examples, section)
        except (Permanent, RuntimeError) as error:
            log.warning("packed rows get a mask, as this model's layers do not take attention by example: %s", error)
            model.set_attn_implementation(own)
    check_packing(model, examples, section)


def check_packing(model: PreTrainedModel, examples: Sequence[TrainingExample], section: str = "midtrain") -> None:
    """Compare two short examples in one row with each on its own, on the very model that is to be trained.

    Raises:
        Permanent: the model's attention crosses from one example to the next (it ignores the restarts of positions).
    """
    pair = sorted(examples, key=len)[:2]
    if len(pair) < 2:
        return
    apart = [_token_losses(model, pair, [[i]]) for i in range(len(pair))]
    packed = _token_losses(model, pair, [list(range(len(pair)))])
    gap = (torch.cat(apart) - packed).abs().max().item()
    if gap > PROBE_TOLERANCE:
        raise Permanent(
            f"packed examples see each other in this model (token losses differ by {gap:.2g}); "
            f"set {section}.batching=length_grouped"
        )


@torch.no_grad()
def _token_losses(model: PreTrainedModel, examples: Sequence[TrainingExample], rows: list[Row]) -> torch.Tensor:
    batch = lay_out(examples, rows, filler=0, with_borders=model.config._attn_implementation == NAME)
    batch = {
        name: value.to(model.device) if isinstance(value, torch.Tensor) else value for name, value in batch.items()
    }
    labels = batch.pop("labels")[:, 1:]
    log_probs = model(**batch, use_cache=False).logits[:, :-1].float().log_softmax(-1)
    keep = labels != IGNORED
    return -log_probs[keep].gather(-1, labels[keep].unsqueeze(-1)).squeeze(-1)
