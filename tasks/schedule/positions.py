"""Positions of a document that can be drawn, and the reason why each of the others cannot."""

import numpy as np
import numpy.typing as npt

from tasks.entropy.read import DocumentEntropy
from tasks.errors import Permanent
from tasks.schedule.spans import INSIDE, Spans
from tasks.shared.engines.tokens import encode_prompts
from tasks.shared.next_token.method import BELOW, TierConfig, tier_indices
from tasks.shared.next_token.prompts import PredictionRenderer

REASONS = ("nothing_before", "given", "below_threshold", "split_character", "prompt_too_long")
"""Reasons why a position cannot be drawn, in the order in which they are tried: each position has one."""
SLACK_TOKENS = 16
"""A context that is cut behind a token and tokenized again may need a few tokens more (ours)."""
_WIDEST_BUDGET = 99_999

Tally = dict[str, int]


def judge(
    document: DocumentEntropy, spans: Spans, tiers: TierConfig, room_tokens: int
) -> tuple[npt.NDArray[np.int8], Tally]:
    """The tier of every position that can be drawn (`BELOW` elsewhere), and the others counted by reason.

    A position's context are the tokens that its entropy was computed from. It can be drawn if it is not given, its
    entropy reaches the lowest threshold, its context and its own token begin and end between characters, and its
    context has at most `room_tokens` tokens.

    Raises:
        Permanent: the document's columns do not describe its tokens, or a position lies outside its own context.
    """
    _check(document)
    starts, ends, places = spans.starts, spans.ends, np.arange(len(document.tokens))
    of_tier = tier_indices(document.entropy, tiers)
    split = (starts == INSIDE) | (ends == INSIDE) | (starts[document.context_start] == INSIDE) | (starts == ends)
    asked = {
        "nothing_before": places < 1,
        "given": places < document.given_tokens,
        "below_threshold": of_tier == BELOW,
        "split_character": split,
        "prompt_too_long": places - document.context_start > room_tokens,
    }
    left = np.ones(len(places), dtype=bool)
    counts = {}
    for reason in REASONS:
        counts[reason] = int(np.count_nonzero(left & asked[reason]))
        left &= ~asked[reason]
    return np.where(left, of_tier, BELOW).astype(np.int8), counts


def context_room(renderer: PredictionRenderer, max_prompt_tokens: int, largest_budget: int = 0) -> int:
    """Tokens that a prompt leaves for its context, the same with a budget and without, so that budgets change nothing.

    Raises:
        Permanent: there is no room for a single token.
    """
    prompts = [renderer.prompt("", max(largest_budget, _WIDEST_BUDGET)), renderer.prompt("")]
    own = max(len(ids) for ids in encode_prompts(renderer.tokenizer, prompts, adds_prefix=renderer.form.adds_prefix))
    room = max_prompt_tokens - own - SLACK_TOKENS
    if room < 1:
        raise Permanent(
            f"schedule.max_prompt_tokens={max_prompt_tokens} leaves no room for a context: the prompt itself has {own} "
            f"tokens, and {SLACK_TOKENS} are kept back; raise it above {own + SLACK_TOKENS}"
        )
    return room


def _check(document: DocumentEntropy) -> None:
    length = len(document.tokens)
    columns = {name: getattr(document, name) for name in ("entropy", "context_start")}
    for name, values in columns.items():
        if len(values) != length:
            raise Permanent(_broken(document, f"{length} tokens and {len(values)} values of {name}"))
    if not 0 <= document.given_tokens <= length:
        raise Permanent(_broken(document, f"given_tokens={document.given_tokens} of {length} tokens"))
    outside = (document.context_start < 0) | (document.context_start >= np.arange(length))
    if outside[1:].any():
        place = int(np.flatnonzero(outside[1:])[0]) + 1
        start = int(document.context_start[place])
        raise Permanent(_broken(document, f"position {place} is outside its context, which begins at {start}"))
    wrong = ~(document.entropy[1:] >= 0)
    if wrong.any():
        place = int(np.flatnonzero(wrong)[0]) + 1
        raise Permanent(_broken(document, f"position {place} has an entropy of {document.entropy[place]} nats"))


def _broken(document: DocumentEntropy, what: str) -> str:
    return f"entropy table, document {document.document_id}: {what}; run the entropy stage again"
