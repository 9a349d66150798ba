"""The decode loop for models whose attention cannot go over slots: one left-padded batch after the other.

Keys and values, or states, are in transformers' own cache; rows that end are taken out of the batch.
"""

from collections.abc import Iterator, Sequence

import torch
from transformers import DynamicCache, PreTrainedModel

from tasks.shared.engines.decoding.token_choice import Decoded, RowDraws, StopRule, choose_tokens
from tasks.shared.engines.protocol import Sampling

COMPACT_BELOW = 0.8
"""Share of live rows below which ended ones are taken out: a copy of the cache against narrower steps. Ours."""


def decode_plainly(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    rule: StopRule,
    draws: RowDraws | None,
    rows: int,
) -> Iterator[Decoded]:
    """Continue the prompt of every row as `decode` does, `rows` at once, those with the longest prompts first."""
    order = sorted(range(len(prompts)), key=lambda row: (-len(prompts[row]), row))
    for start in range(0, len(order), rows):
        batch = order[start : start + rows]
        yield from _decode_batch(model, batch, [prompts[row] for row in batch], sampling, rule, draws)


@torch.inference_mode()
def _decode_batch(
    model: PreTrainedModel,
    batch: Sequence[int],
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    rule: StopRule,
    draws: RowDraws | None,
) -> Iterator[Decoded]:
    device = model.device
    step_ids, mask = _left_padded(prompts, sampling.max_new_tokens, rule.pad_id, device)
    width = step_ids.shape[1]
    positions = (mask[:, :width].cumsum(-1) - 1).clamp(min=0)
    ends = torch.tensor(list(rule.ids), device=device)
    rows = torch.tensor(batch, device=device)
    numbers = None if draws is None else torch.stack([draws[row] for row in batch]).to(device)
    alive = torch.ones(len(rows), dtype=torch.bool, device=device)
    written = torch.full((len(rows), sampling.max_new_tokens), rule.pad_id, device=device)
    cache = DynamicCache(config=model.config)
    for step in range(sampling.max_new_tokens):
        output = model(
            input_ids=step_ids,
            attention_mask=mask[:, : width + step],
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        logits = output.logits[:, -1]
        chosen = choose_tokens(logits, sampling, None if numbers is None else numbers[:, step])
        written[:, step] = chosen
        ended = torch.isin(chosen, ends)
        if rule.stop is not None:
            ended |= rule.stop(written[:, : step + 1], logits)
        leaving = alive & (ended | (step + 1 == sampling.max_new_tokens))
        if leaving.any():
            for index in leaving.nonzero().flatten().tolist():
                yield Decoded(int(rows[index]), written[index, : step + 1].tolist(), bool(ended[index]))
            alive &= ~leaving
            if not alive.any():
                return
            if alive.float().mean() < COMPACT_BELOW:
                keep = alive.nonzero().flatten()
                cache.batch_select_indices(keep)
                rows, mask, written, positions = rows[keep], mask[keep], written[keep], positions[keep]
                chosen, alive = chosen[keep], alive[keep]
                numbers = None if numbers is None else numbers[keep]
        step_ids = chosen[:, None]
        positions = positions[:, -1:] + 1


def _left_padded(
    prompts: Sequence[Sequence[int]], room: int, pad_id: int, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids [prompts, width], and their mask [prompts, width + room]: 1 where a prompt is, 0 before it and after."""
    width = max(map(len, prompts))
    ids = torch.full((len(prompts), width), pad_id, device=device)
    mask = torch.zeros(len(prompts), width + room, dtype=torch.long, device=device)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt, device=device)
        mask[row, width - len(prompt) :] = 1
    return ids, mask
