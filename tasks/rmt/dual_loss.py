"""The two losses beside GRPO's: next-token prediction on plain text, and cross-entropy on rollouts that are right.

L = L_RL + lambda * L_NTP, each normalised by its own tokens (arXiv 2509.24375, dual loss). Sums over micro-batches and
devices must be those of the whole step at once, so each part is divided by the step's count and never by its own.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from tasks.rl.scoring import length_sorted_passes
from tasks.rmt.rows import TextRow
from tasks.shared.training.config import IGNORED
from tasks.shared.training.distributed import equally_many


def next_token_loss(
    model: PreTrainedModel,
    rows: Sequence[TextRow],
    device: torch.device,
    *,
    step_tokens: int,
    filler: int,
    tokens_per_pass: int,
) -> torch.Tensor:
    """Cross-entropy of the counted tokens of `rows`, summed and divided by `step_tokens`; nats.

    Rows of like length share a pass and are filled up on the right, where causal attention keeps the filler out of
    sight. Only counted positions reach the vocabulary.

    Args:
        model: one with `tasks.shared.training.lm_head.add_text_head`.
        step_tokens: counted tokens of the whole step.
        filler: any token.
        tokens_per_pass: bound on rows times width of one forward pass.
    """
    lengths = torch.tensor([len(row.tokens) for row in rows])
    passes = list(length_sorted_passes(torch.arange(len(rows)), lengths, tokens_per_pass))
    blank = torch.arange(0)
    total = torch.zeros((), device=device)
    # A loss has a graph even where a micro-batch has no rows.
    for part, _ in equally_many(passes or [blank], blank, device):
        ids = torch.full((max(len(part), 1), int(lengths[part].max()) if len(part) else 2), filler)
        labels = torch.full_like(ids, IGNORED)
        for line, row in enumerate(part.tolist()):
            width = len(rows[row].tokens)
            ids[line, :width] = torch.from_numpy(rows[row].tokens)
            labels[line, :width] = torch.from_numpy(rows[row].labels)
        output = model(input_ids=ids.to(device), labels=labels.to(device), text_head=True)
        total = total - output.log_probs.sum()
    return total / step_tokens


def matched_loss(
    log_probs: torch.Tensor, completion_mask: torch.Tensor, matched: torch.Tensor, step_tokens: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy of the rollouts whose prediction is right, divided by their tokens in the whole step.

    Args:
        log_probs: (rollouts, completion width).
        completion_mask: 1 on completion tokens, same shape.
        matched: (rollouts,) bool.
        step_tokens: tokens of all matched rollouts of the step; 0 where there are none.
    """
    return -(log_probs * completion_mask * matched[:, None]).sum() / step_tokens.clamp(min=1)
