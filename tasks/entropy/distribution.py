"""Entropy, log-probability and argmax of next-token distributions, a bounded number of rows at a time."""

from dataclasses import dataclass

import torch

ELEMENTS = {"cpu": 1 << 20, "cuda": 1 << 27}
"""Logits in memory at a time: on a CPU few enough to stay in its cache for the passes over them. Ours."""
MIN_ROWS = 128
"""Positions at a time however wide the vocabulary: for fewer, reading the output layer's weights takes longer than
multiplying with them. Ours."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Numbers kept of the distribution at each position, each of shape (positions,)."""

    entropy: torch.Tensor
    """Entropy in nats, float32."""
    log_prob: torch.Tensor
    """Natural log of the true token's probability, float32."""
    top_token: torch.Tensor
    """The likeliest token."""


def rows_at_a_time(vocabulary: int, device: str) -> int:
    """Number of positions whose logits are in memory together."""
    return max(MIN_ROWS, ELEMENTS[device] // vocabulary)


@torch.inference_mode()
def score(
    hidden: torch.Tensor,
    targets: torch.Tensor,
    head: torch.nn.Module,
    *,
    rows: int,
    top_k: int = 0,
) -> Scores:
    """Scores of the distributions that `head` makes of hidden states.

    With logits x, m = max x and p = softmax(x - m): H = -log max p - sum(p * (x - m)), because the likeliest token has
    p = 1 / sum(exp(x - m)). So one softmax serves all three, and the logarithm of a small probability is never taken.

    Args:
        hidden: (positions, width).
        targets: (positions,) true tokens.
        head: output layer, (.., width) to (.., vocabulary).
        rows: positions whose logits are in memory at a time.
        top_k: entropy over so many likeliest tokens, renormalised (RPT, arXiv 2506.08007); 0: over all.
    """
    entropy = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
    log_prob, top_token = torch.empty_like(entropy), torch.empty_like(targets)
    for start in range(0, len(hidden), rows):
        part = slice(start, start + rows)
        logits = head(hidden[part]).float()
        top_token[part] = best = _argmax(logits)
        logits.sub_(logits.gather(1, best[:, None]))
        probabilities = logits.softmax(-1)
        log_total = -probabilities.gather(1, best[:, None])[:, 0].log()
        log_prob[part] = logits.gather(1, targets[part, None])[:, 0] - log_total
        if top_k:
            logits = logits.topk(top_k, dim=-1).values
            probabilities = logits.softmax(-1)
            log_total = -probabilities[:, 0].log()
        entropy[part] = log_total - probabilities.mul_(logits).sum(-1)
    return Scores(entropy.clamp_(min=0), log_prob, top_token)


def _argmax(logits: torch.Tensor) -> torch.Tensor:
    # NumPy's is vectorised; torch's takes ten times as long on a CPU.
    if logits.device.type == "cpu":
        return torch.from_numpy(logits.numpy().argmax(-1))
    return logits.argmax(-1)
