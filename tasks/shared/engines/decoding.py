"""The decode loop of the transformers engine: one left-padded batch, finished rows leave it early.

`generate` of transformers carries every row to the end of the longest one. Here rows that are done are taken out of the
batch and of its key-value cache, so a batch costs what its rows need, and each completion is out as soon as it is done.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from transformers import DynamicCache, PreTrainedModel
from transformers.generation.stopping_criteria import StopStringCriteria

from tasks.errors import Permanent
from tasks.shared.engines.protocol import Sampling

COMPACT_BELOW = 0.8
"""Share of live rows below which finished ones are taken out: a copy of the cache against narrower steps."""


@dataclass(frozen=True, slots=True)
class Decoded:
    """Token ids written for one row of a batch."""

    row: int
    tokens: list[int]
    stopped: bool
    """False when the row was cut by the token limit."""


def seeded_draws(seeds: Sequence[int], length: int) -> torch.Tensor:
    """Uniform numbers in [0, 1), [rows, length]: each row has a stream of its own, whatever rows stand beside it."""
    streams = (torch.Generator().manual_seed(seed) for seed in seeds)
    return torch.stack([torch.rand(length, generator=stream, dtype=torch.float64) for stream in streams])


def choose_tokens(logits: torch.Tensor, sampling: Sampling, draws: torch.Tensor | None) -> torch.Tensor:
    """Next token ids [rows] from logits [rows, vocabulary]: greedy, or drawn under temperature, top-k and top-p.

    A row's token is read off its distribution function at the row's number in `draws` ([rows], each in [0, 1); None
    for greedy decoding). So it depends on nothing but the row, and rounding matters at a border of two tokens alone.

    Raises:
        Permanent: a row's logits are not finite, from which any token could come.
    """
    if sampling.greedy:
        likeliest = logits.max(-1)
        _check_finite(likeliest.values)
        return likeliest.indices
    assert draws is not None, "sampling needs a number for each row"
    scaled = logits.float() / sampling.temperature
    if sampling.top_k:
        kth = scaled.topk(min(sampling.top_k, scaled.shape[-1]), dim=-1).values[:, -1:]
        scaled = scaled.masked_fill(scaled < kth, -torch.inf)
    probabilities, order = scaled.softmax(-1), None
    if sampling.top_p < 1:
        probabilities, order = probabilities.sort(dim=-1, descending=True, stable=True)
    cumulative = probabilities.cumsum(-1, dtype=torch.float64)
    total = cumulative[:, -1:]
    if order is not None:
        # A token stays while the mass before it is below top_p, so that the likeliest one always stays.
        last = torch.searchsorted(cumulative, cumulative.new_full((len(cumulative), 1), sampling.top_p))
        total = cumulative.gather(-1, last.clamp(max=cumulative.shape[-1] - 1))
    _check_finite(total)
    # In (0, total]: the first token that reaches it has a probability above 0.
    drawn = torch.searchsorted(cumulative, (1 - draws[:, None].double()) * total)
    return (drawn if order is None else order.gather(-1, drawn)).squeeze(-1)


def _check_finite(values: torch.Tensor) -> None:
    if not bool(values.isfinite().all()):
        raise Permanent(
            "the model's logits are not finite: its weights are damaged, or its precision is too small for them; "
            "try runtime.dtype=float32"
        )


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


@torch.inference_mode()
def decode_batch(
    model: PreTrainedModel,
    prompts: Sequence[Sequence[int]],
    sampling: Sampling,
    *,
    end_ids: Sequence[int],
    pad_id: int,
    draws: torch.Tensor | None,
    stop: StopStringCriteria | None = None,
    copies: int = 1,
) -> Iterator[Decoded]:
    """Continue every prompt (token ids) and yield each row as it ends.

    Rows are padded on the left. `draws` [rows, max_new_tokens] has a number in [0, 1) for each token that may be drawn;
    None for greedy decoding. Each prompt is read once and continued `copies` times: rows k * copies to
    (k + 1) * copies - 1 are its.
    """
    device = model.device
    step_ids, mask = _left_padded(prompts, sampling.max_new_tokens, pad_id, device)
    width = step_ids.shape[1]
    positions = (mask[:, :width].cumsum(-1) - 1).clamp(min=0)
    ends = torch.tensor(list(end_ids), device=device)
    rows = torch.arange(len(prompts) * copies, device=device)
    alive = torch.ones(len(rows), dtype=torch.bool, device=device)
    written = torch.full((len(rows), sampling.max_new_tokens), pad_id, device=device)
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
        if step == 0 and copies > 1:
            cache.batch_repeat_interleave(copies)
            logits, mask, positions = (tensor.repeat_interleave(copies, dim=0) for tensor in (logits, mask, positions))
        chosen = choose_tokens(logits, sampling, None if draws is None else draws[rows, step])
        written[:, step] = chosen
        ended = torch.isin(chosen, ends)
        if stop is not None:
            ended |= stop(written[:, : step + 1], logits)
        last = step + 1 == sampling.max_new_tokens
        leaving = alive & (ended | last)
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
        step_ids = chosen[:, None]
        positions = positions[:, -1:] + 1
