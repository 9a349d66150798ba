"""What a thought does for the true next token: RLP's reward (arXiv 2510.01265), which needs no right prediction.

RLP rewards log p(token | context, thought) - log p(token | context). The second term is the same for all thoughts of a
position and so leaves every advantage within a group as it is; only the first is computed. Its gradient is that of the
thought alone: what stands behind the closing tag was not looked at.
"""

from collections.abc import Collection, Sequence

import torch


def thought_of(ids: Sequence[int], close_id: int, end_ids: Collection[int]) -> list[int]:
    """Tokens of a completion before its closing tag, or before its end where the thought was never closed."""
    ends = {close_id, *end_ids}
    return list(ids[: next((place for place, token in enumerate(ids) if token in ends), len(ids))])


def asked_for(
    prompts: Sequence[Sequence[int]],
    thoughts: Sequence[Sequence[int]],
    targets: Sequence[int],
    close_id: int,
    filler: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Prompt, thought, closing tag and the true token, flush right, so that each row ends with the token to score.

    A thought that was cut is closed for the model.

    Returns:
        Ids and mask, both (rows, width).
    """
    rows = [
        [*prompt, *thought, close_id, target]
        for prompt, thought, target in zip(prompts, thoughts, targets, strict=True)
    ]
    width = max(map(len, rows))
    ids = torch.full((len(rows), width), filler)
    mask = torch.zeros_like(ids)
    for line, row in enumerate(rows):
        ids[line, width - len(row) :] = torch.tensor(row)
        mask[line, width - len(row) :] = 1
    return ids, mask


def thoughts_alone(completion_ids: torch.Tensor, mask: torch.Tensor, close_id: int) -> torch.Tensor:
    """The mask without what stands behind the first closing tag; the tag itself is the model's decision to stop.

    Args:
        completion_ids: (rollouts, width).
        mask: 1 on the tokens of each rollout, same shape.
    """
    closing = (completion_ids == close_id).long()
    closed_before = closing.cumsum(1) - closing
    return mask * (closed_before == 0)
