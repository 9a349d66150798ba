"""The program that fits the tags' rows of the output layer to the examples, before any other weight is trained.

A step of SFT that finds a tag unlikely everywhere makes it likelier by making all words alike: the layers before the
row follow the gradient too, and plain text is what suffers. With those layers held, where a tag belongs is a logistic
regression on their last hidden states: convex, without a learning rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.functional import binary_cross_entropy_with_logits

from tasks.midtrain.encoding import TrainingExample, read_examples
from tasks.shared.engines.factory import resolve_device
from tasks.shared.engines.tokens import load_tokenizer
from tasks.spine.stage.imports import UNUSED_BY_TRAINERS, lean_imports, offline
from tasks.spine.stage.worker import Reporter, worker_main
from tasks.think_tags.config import RowJob
from tasks.think_tags.worker import write

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST_EXAMPLES = 256
"""Examples that the rows are fitted to at most: a row has few numbers (ours)."""
PROMPT_STRIDE = 4
"""Every such position of a prompt is looked at, and weighs as many; of a completion, every one (ours)."""
MOST_ITERATIONS = 200
"""Steps of the fit at most (ours)."""


@dataclass(frozen=True)
class Positions:
    """Positions of the examples, and what the model says there."""

    hidden: torch.Tensor
    """Last hidden states, (n, width)."""
    log_sum: torch.Tensor
    """Logarithm of the summed exp(logit) of every token but the tags, (n,)."""
    next_tokens: torch.Tensor
    """True next tokens, (n,)."""
    weights: torch.Tensor
    """Positions that each stands for, (n,)."""


def run(job: RowJob, reporter: Reporter) -> dict[str, Any]:
    """Write the model with fitted rows; returns the mean probability of each tag at its places and elsewhere."""
    with lean_imports(*UNUSED_BY_TRAINERS):
        from tasks.shared.models.causal_lm import is_plain_head, load_causal_lm
    trust = job.trust_remote_code
    if job.runtime.num_threads:
        torch.set_num_threads(job.runtime.num_threads)
    tokenizer = load_tokenizer(job.model, trust_remote_code=trust)
    model = load_causal_lm(job.model, dtype="auto", device=resolve_device(job.runtime), trust_remote_code=trust)
    stored = model.dtype
    found: dict[str, Any] = {}
    # Where logits are scaled or capped the rows keep their start, and all is left to the SFT.
    if is_plain_head(model.float()):
        examples = read_examples(job.examples, tokenizer, job.config.max_length, adds_prefix=job.form.adds_prefix)
        tags = [tokenizer.convert_tokens_to_ids(tag) for tag in job.tags]
        positions = look(model, examples[:MOST_EXAMPLES], tags, reporter)
        found = {
            tag: fit(model, positions, row, job.config.row_penalty) for tag, row in zip(job.tags, tags, strict=True)
        }
    write(model.to(stored), tokenizer, job)
    return {"fitted": found}


@torch.no_grad()
def look(
    model: "PreTrainedModel", examples: Sequence[TrainingExample], tags: Sequence[int], reporter: Reporter
) -> Positions:
    """What the model says in the examples."""
    head, parts = model.get_output_embeddings(), []
    for number, example in enumerate(examples, start=1):
        ids = torch.tensor([example.prompt + example.completion], device=model.device)
        last = ids.shape[1] - 1
        border = len(example.prompt) - 1
        # A tag that stands in the prompt is never asked of the model.
        told = [place for place in range(0, border, PROMPT_STRIDE) if example.prompt[place + 1] not in tags]
        kept = torch.tensor([*told, *range(border, last)], device=model.device)
        hidden = model.base_model(input_ids=ids, use_cache=False).last_hidden_state[0, kept]
        logits = head(hidden).float()
        logits[:, tags] = -torch.inf
        weights = torch.where(kept < border, float(PROMPT_STRIDE), 1.0)
        parts.append((hidden.float(), logits.logsumexp(-1), ids[0, kept + 1], weights))
        if number % 16 == 0 or number == len(examples):
            reporter.progress(number, len(examples), "examples read for the tags")
    return Positions(*(torch.cat(column) for column in zip(*parts, strict=True)))


def fit(model: "PreTrainedModel", positions: Positions, row: int, penalty: float) -> dict[str, float] | None:
    """Fit one row of the output layer in place; None, and nothing done, for a tag that no example asks the model for.

    The loss is the weighted mean of binary cross-entropies, the tag against every other token, plus `penalty` times the
    squared distance from the row's start.
    """
    asked = (positions.next_tokens == row).float()
    if not asked.any():
        return None
    head = model.get_output_embeddings()
    start = head.weight[row].detach().float().clone()
    fitted = start.clone().requires_grad_(True)
    bias = 0.0 if head.bias is None else head.bias[row].detach().float()
    optimizer = torch.optim.LBFGS([fitted], max_iter=MOST_ITERATIONS, line_search_fn="strong_wolfe")
    share = positions.weights / positions.weights.sum()

    def logits() -> torch.Tensor:
        return positions.hidden @ fitted + bias - positions.log_sum

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        value = binary_cross_entropy_with_logits(logits(), asked, weight=share, reduction="sum")
        value = value + penalty * (fitted - start).square().sum()
        value.backward()
        return value

    optimizer.step(loss)
    with torch.no_grad():
        head.weight[row] = fitted.to(head.weight.dtype)
        probabilities = logits().sigmoid()
        elsewhere = (probabilities * share * (1 - asked)).sum() / (share * (1 - asked)).sum()
    return {"at_its_places": float(probabilities[asked > 0].mean()), "elsewhere": float(elsewhere)}


if __name__ == "__main__":
    offline()
    worker_main(RowJob, run)
