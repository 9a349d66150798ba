"""Documents through a model: windows of like length in passes of bounded size.

Each window stands at the left edge of its row, so causal attention alone keeps its tokens from the padding behind them,
and no mask is needed.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedModel

from tasks.entropy.config import EntropyConfig
from tasks.entropy.distribution import Scores, rows_at_a_time, score
from tasks.entropy.encoding import Encoded
from tasks.errors import Permanent
from tasks.shared.next_token.windows import Window, windows

TOKENS_PER_PASS = {"cpu": 4_096, "cuda": 65_536}
"""Rows times padded length of one forward pass; a longer window is a pass of its own. Ours."""


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A document with the model's scores of each of its positions; see `tasks.entropy.schema`."""

    document: Encoded
    entropy: npt.NDArray[np.float32]
    log_prob: npt.NDArray[np.float32]
    top_token: npt.NDArray[np.int32]
    context_start: npt.NDArray[np.int32]


@torch.inference_mode()
def score_documents(
    model: PreTrainedModel, documents: Sequence[Encoded], config: EntropyConfig, tokens_per_pass: int
) -> list[Scored]:
    """Scores of every position of every document, in their order.

    Raises:
        Permanent: a token that the model does not know, or a distribution that is not finite.
    """
    _check_known(model, documents)
    results = [_unscored(document) for document in documents]
    work = [
        (row, window)
        for row, document in enumerate(documents)
        for window in windows(len(document.tokens), config.context_tokens, config.overlap_tokens)
    ]
    for part in _parts(work, tokens_per_pass):
        scores = _forward(model, [(documents[row].tokens, window) for row, window in part], config.top_k)
        fields = [field.cpu().numpy() for field in (scores.entropy, scores.log_prob, scores.top_token)]
        if not np.isfinite(fields[0]).all():
            raise Permanent(
                f"the model's next-token distribution is not finite in {model.dtype}; set entropy.dtype to 'float32', "
                "or check the model's weights"
            )
        offset = 0
        for row, window in part:
            to, count = slice(window.first, window.end), window.end - window.first
            result = results[row]
            for target, values in zip((result.entropy, result.log_prob, result.top_token), fields, strict=True):
                target[to] = values[offset : offset + count]
            result.context_start[to] = window.start
            offset += count
    return results


def _unscored(document: Encoded) -> Scored:
    length = len(document.tokens)
    nothing = np.full(length, np.nan, dtype=np.float32)
    return Scored(document, nothing, nothing.copy(), np.full(length, -1, np.int32), np.zeros(length, np.int32))


def _parts(work: Sequence[tuple[int, Window]], tokens_per_pass: int) -> Iterator[Sequence[tuple[int, Window]]]:
    """Yield windows in parts, longest first: a pass pads little, and one too large for the memory fails at once."""
    ordered = sorted(work, key=lambda item: -item[1].num_inputs)
    start = 0
    while start < len(ordered):
        end = start + max(1, tokens_per_pass // ordered[start][1].num_inputs)
        yield ordered[start:end]
        start = end


def _forward(model: PreTrainedModel, texts: Sequence[tuple[npt.NDArray[np.int32], Window]], top_k: int) -> Scores:
    """Scores of the positions that the windows predict, one window after the other."""
    width = texts[0][1].num_inputs
    ids = np.zeros((len(texts), width), dtype=np.int64)
    targets, places = [], []
    for row, (tokens, window) in enumerate(texts):
        ids[row, : window.num_inputs] = tokens[window.start : window.end - 1]
        targets.append(tokens[window.first : window.end])
        # The column before a position is the one that predicts it.
        first = row * width + window.first - 1 - window.start
        places.append(np.arange(first, first + window.end - window.first))
    device = model.device
    hidden = model.base_model(input_ids=torch.from_numpy(ids).to(device), use_cache=False).last_hidden_state
    head = model.get_output_embeddings()
    return score(
        hidden.flatten(0, 1)[torch.from_numpy(np.concatenate(places)).to(device)],
        torch.from_numpy(np.concatenate(targets).astype(np.int64)).to(device),
        head,
        rows=rows_at_a_time(head.weight.shape[0], device.type),
        top_k=top_k,
    )


def _check_known(model: PreTrainedModel, documents: Sequence[Encoded]) -> None:
    known = model.get_input_embeddings().weight.shape[0]
    highest = max(int(document.tokens.max()) for document in documents)
    if highest >= known:
        raise Permanent(
            f"the tokenizer gives token {highest}, but the model has only {known} of them: the tokenizer in the "
            "model's folder is of another model"
        )
