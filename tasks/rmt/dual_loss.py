"""The loss of objective `sft`: cross-entropy on rollouts that are right, in the place of GRPO's.

What stands beside either, next-token prediction on plain text, is in `tasks.rl.beside.texts`.
"""

import torch


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
