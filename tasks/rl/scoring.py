"""Log-probabilities of rollouts without their padding.

TRL scores a batch as one block, padded to the longest prompt and the longest completion and masked. Here each rollout
is moved to the left edge, neighbours have like lengths, and causal attention alone keeps tokens from the padding
behind them, so that no mask is needed.
"""

from collections.abc import Iterator

import torch
from transformers import PreTrainedModel

from tasks.shared.training.distributed import equally_many


def score_rollouts(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    attention_mask: torch.Tensor,
    completion_width: int,
    tokens_per_pass: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probability and entropy of every completion token.

    Args:
        model: a model with TRL's fused LM head, which applies the temperature; a reference model gives no entropy.
        input_ids: (rollouts, prompt width + completion width); prompts end and completions begin at the same column.
        attention_mask: 1 on the tokens of `input_ids`, same shape.
        completion_width: columns of the completions.
        tokens_per_pass: bound on rows times width of one forward pass.

    Returns:
        Two tensors of shape (rollouts, completion_width), 0 where there is no token or no entropy was asked for.
    """
    prompt_width = input_ids.shape[1] - completion_width
    prompts = attention_mask[:, :prompt_width].sum(1)
    lengths = attention_mask.sum(1)
    scores = input_ids.new_zeros((2, input_ids.shape[0], completion_width), dtype=torch.float32)
    every = torch.arange(len(lengths), device=lengths.device)
    passes = list(length_sorted_passes(every, lengths, tokens_per_pass))
    for part, counts in equally_many(passes, lengths.argmin()[None], input_ids.device):
        scored = _score(model, input_ids[part], prompts[part], lengths[part], prompt_width, completion_width)
        # A pass that is here for the other processes' sake joins the graph, so that they meet in its backward too.
        scores = scores.index_copy(1, part, scored.to(scores.dtype)) if counts else scores + 0 * scored.sum()
    return scores[0], scores[1]


def length_sorted_passes(rows: torch.Tensor, lengths: torch.Tensor, tokens_per_pass: int) -> Iterator[torch.Tensor]:
    """Rows, longest first, in parts of at most `tokens_per_pass` tokens, padding included."""
    ordered = rows[lengths[rows].argsort(descending=True, stable=True)]
    start = 0
    while start < len(ordered):
        end = start + max(1, tokens_per_pass // int(lengths[ordered[start]]))
        yield ordered[start:end]
        start = end


def _score(
    model: PreTrainedModel,
    input_ids: torch.Tensor,
    prompts: torch.Tensor,
    lengths: torch.Tensor,
    prompt_width: int,
    completion_width: int,
) -> torch.Tensor:
    columns = torch.arange(int(lengths.max()), device=input_ids.device)
    source = (prompt_width - prompts)[:, None] + columns
    ids = input_ids.gather(1, source.clamp(max=input_ids.shape[1] - 1))
    labels = ids.masked_fill((columns < prompts[:, None]) | (columns >= lengths[:, None]), -100)
    output = model(input_ids=ids, labels=labels, fused_lm_head=True)
    entropy = torch.zeros_like(output.log_probs) if output.entropy is None else output.entropy
    both = torch.stack([output.log_probs, entropy])
    # The label of completion token j sits at column prompt + j, and is predicted one column before.
    target = prompts[:, None] - 1 + torch.arange(completion_width, device=ids.device)
    inside = target < lengths[:, None] - 1
    scores = both.gather(2, target.clamp(max=both.shape[2] - 1).expand(2, -1, -1))
    return scores * inside
