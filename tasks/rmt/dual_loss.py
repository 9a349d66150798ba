"""The two losses beside GRPO's: next-token prediction on plain text, and cross-entropy on rollouts that are right.

L = L_RL + lambda * L_NTP, each normalised by its own tokens (arXiv 2509.24375, dual loss). Sums over micro-batches and
devices must be those of the whole step at once, so each part is divided by the step's count and never by its own.
"""

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel

from tasks.rl.scoring import length_sorted_passes
from tasks.rmt.rows import TextRow
from tasks.shared.training.batch_balancing import balance_by_length
from tasks.shared.training.config import IGNORED


def text_passes(rows: Sequence[TextRow], num_processes: int, tokens_per_pass: int) -> list[list[list[TextRow]]]:
    """The rows of a step by process and forward pass, in as few passes as fit; all processes have equally many.

    Rows of like length share a pass. A process that has fewer passes than another ends with passes without rows.

    Args:
        tokens_per_pass: bound on rows times width of one forward pass.
    """
    lengths = torch.tensor([len(row.tokens) for row in rows])
    shares = []
    for share in balance_by_length(lengths.tolist(), num_processes):
        passes = length_sorted_passes(torch.tensor(share, dtype=torch.long), lengths, tokens_per_pass)
        shares.append([[rows[row] for row in part.tolist()] for part in passes])
    most = max(map(len, shares))
    return [[*passes, *[[] for _ in range(most - len(passes))]] for passes in shares]


def next_token_loss(
    model: PreTrainedModel, rows: Sequence[TextRow], device: torch.device, *, filler: int
) -> torch.Tensor:
    """Cross-entropy of the counted tokens of one pass, summed; nats.

    Rows are filled up on the right, where causal attention keeps the filler out of sight. Only counted positions reach
    the vocabulary. Without rows, two tokens of filler make the pass.

    Args:
        model: one with `tasks.shared.training.lm_head.add_text_head`.
        filler: any token.
    """
    ids = torch.full((max(len(rows), 1), max([len(row.tokens) for row in rows], default=2)), filler)
    labels = torch.full_like(ids, IGNORED)
    for line, row in enumerate(rows):
        ids[line, : len(row.tokens)] = torch.from_numpy(row.tokens)
        labels[line, : len(row.tokens)] = torch.from_numpy(row.labels)
    output = model(input_ids=ids.to(device), labels=labels.to(device), text_head=True)
    return -output.log_probs.sum()


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
