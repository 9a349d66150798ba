"""Measure how well a model of the small world predicts the next token, directly and after thinking.

`python -m tasks.tiny.make.measure_thinking MODEL [--split evaluation]` prints it; `tasks.tiny.make.card` measures it
for the card of a model that thinks.
"""

import argparse
import json
import random
from collections.abc import Sequence as Rows
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from tasks.tiny.make.accuracy import SEED, mean_and_error
from tasks.tiny.make.sampling import complete_ids, load
from tasks.tiny.predictions import thinking_prompt
from tasks.tiny.texts import PROBLEM_SPLITS, Document, TextSplit, documents
from tasks.tiny.thinking import CLOSE, OPEN, compact

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast

THINKING = "thinking"
"""Key of these measurements among a model's."""
# Entropy in nats from which a tier starts.
TIERS = {"easy": 0.5, "medium": 1.0, "hard": 1.5}
BUDGETS = (None, 16, 32, 80)
GROUP_SIZE = 8
CARD_DOCUMENTS, CARD_PER_TIER = 1000, 96
# Tokens of thinking from which a level starts; thinking of fewer than the second is a guess.
LENGTHS = {"guess": 0, "short": 8, "middle": 28, "long": 56, "longer": 128}


def thinks(tokenizer: "PreTrainedTokenizerFast") -> bool:
    """Whether the model of this tokenizer was made to think before it predicts."""
    return {OPEN, CLOSE} <= tokenizer.get_vocab().keys()


@dataclass(frozen=True)
class MeasuredPosition:
    """A place of a document, with what the model says there without thinking."""

    context: str
    target: str
    entropy: float
    right: bool
    """Whether the most likely token is the true one."""
    useful: int
    """Tokens of the work alone that leads to the true one."""

    @property
    def tier(self) -> str:
        """Highest tier that the entropy reaches."""
        return [name for name, least in TIERS.items() if self.entropy >= least][-1]


@dataclass(frozen=True)
class ThinkingOutcome:
    """One sampled thinking: its length in tokens, and whether it was closed and its prediction right."""

    position: MeasuredPosition
    length: int
    closed: bool
    right: bool


@torch.inference_mode()
def uncertain_positions(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", texts: Rows[Document]
) -> list[MeasuredPosition]:
    """Every place of the texts, after what is given, whose entropy reaches the lowest tier."""
    out = list[MeasuredPosition]()
    for document in texts:
        given_tokens = len(tokenizer(document.text[: document.given_chars])["input_ids"])
        ids = tokenizer(document.text, return_tensors="pt")["input_ids"]
        log_probs = model(ids).logits[0, :-1].log_softmax(-1)
        entropies = -(log_probs.exp() * log_probs).sum(-1)
        for at in range(given_tokens, ids.shape[1]):
            if (entropy := float(entropies[at - 1])) >= min(TIERS.values()):
                true = ids[0, at]
                right = bool(log_probs[at - 1].argmax() == true)
                context, target = tokenizer.decode(ids[0, :at]), tokenizer.decode(true)
                useful = len(tokenizer(compact(document.place(context, target)))["input_ids"])
                out.append(MeasuredPosition(context, target, entropy, right, useful))
    return out


def sample_outcomes(
    model: "PreTrainedModel",
    tokenizer: "PreTrainedTokenizerFast",
    positions: Rows[MeasuredPosition],
    budget: int | None,
    samples: int,
) -> list[list[ThinkingOutcome]]:
    """`samples` thinkings at temperature 1 for each position."""
    prompts = [thinking_prompt(position.context, budget) for position in positions]
    limit = model.generation_config.max_new_tokens
    drawn = complete_ids(model, tokenizer, prompts, samples=samples, seed=SEED, max_new_tokens=limit)
    return [[outcome_of(p, ids, tokenizer) for ids in rows] for p, rows in zip(positions, drawn, strict=True)]


def outcome_of(position: MeasuredPosition, ids: list[int], tokenizer: "PreTrainedTokenizerFast") -> ThinkingOutcome:
    """Outcome of a sampled completion; a prediction counts when the end-of-text token follows it."""
    close, end = tokenizer.convert_tokens_to_ids(CLOSE), tokenizer.eos_token_id
    if close not in ids:
        return ThinkingOutcome(position, ids.index(end) if end in ids else len(ids), False, False)
    length = ids.index(close)
    after = ids[length + 1 :]
    predicted = tokenizer.decode(after[: after.index(end)]) if end in after else None
    return ThinkingOutcome(position, length, True, predicted == position.target)


def _percent(rights: Rows[float]) -> list[float] | None:
    return list(mean_and_error([float(right) for right in rights])) if rights else None


def _rate(group: Rows[ThinkingOutcome]) -> float:
    return sum(outcome.right for outcome in group) / len(group)


def _level(length: int, levels: Rows[str]) -> str:
    return [name for name in levels if length >= LENGTHS[name]][-1]


def _summary(groups: Rows[Rows[ThinkingOutcome]], levels: Rows[str]) -> dict[str, Any]:
    """Numbers of one budget: accuracy by tier and by length of thinking (hard to guess places), and what RL can use."""
    outcomes = [outcome for group in groups for outcome in group]
    hard = [outcome for outcome in outcomes if outcome.position.tier != "easy"]
    by_tier = {tier: [group for group in groups if group[0].position.tier == tier] for tier in TIERS}
    return {
        "tiers": {
            tier: _percent([_rate(group) for group in groups_of_tier]) for tier, groups_of_tier in by_tier.items()
        },
        "lengths": {
            name: {
                "share": round(100 * sum(_level(o.length, levels) == name for o in hard) / max(1, len(hard)), 1),
                "right": _percent([o.right for o in hard if _level(o.length, levels) == name]),
            }
            for name in levels
        },
        "mean_length": round(sum(o.length for o in outcomes) / len(outcomes), 1),
        "unclosed": round(100 * sum(not o.closed for o in outcomes) / len(outcomes), 2),
        "mixed_groups": {
            tier: _percent([0 < _rate(group) < 1 for group in groups_of_tier])
            for tier, groups_of_tier in by_tier.items()
        },
    }


def measure_thinking(
    model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", split: TextSplit, count: int, per_tier: int
) -> dict[str, Any]:
    """All measurements on `count` documents of a split: `per_tier` places of each tier, groups of eight."""
    positions = uncertain_positions(model, tokenizer, documents(split, count, SEED))
    random.Random(SEED).shuffle(positions)
    by_tier = {tier: [p for p in positions if p.tier == tier] for tier in TIERS}
    chosen = [position for of_tier in by_tier.values() for position in of_tier[:per_tier]]
    limit = model.generation_config.max_new_tokens
    levels = [name for name, least in LENGTHS.items() if least < limit]
    return {
        "documents": count,
        "positions": {tier: len(of_tier) for tier, of_tier in by_tier.items()},
        "digits": {tier: _percent([p.target.isdigit() for p in of_tier]) for tier, of_tier in by_tier.items()},
        "direct": {tier: _percent([p.right for p in of_tier]) for tier, of_tier in by_tier.items()},
        "drawn": len(chosen),
        "useful_length": round(sum(p.useful for p in chosen) / len(chosen), 1),
        "budgets": {
            str(budget or "none"): _summary(sample_outcomes(model, tokenizer, chosen, budget, GROUP_SIZE), levels)
            for budget in BUDGETS
        },
    }


def main() -> None:
    """Measure the model that the command line names."""
    parser = argparse.ArgumentParser(description="Measure thinking before a prediction on held-out documents.")
    parser.add_argument("model", type=Path)
    parser.add_argument("--split", choices=tuple(PROBLEM_SPLITS), default="evaluation")
    parser.add_argument("--documents", type=int, default=300)
    parser.add_argument("--per-tier", type=int, default=32)
    options = parser.parse_args()
    measured = measure_thinking(*load(options.model), options.split, options.documents, options.per_tier)
    print(json.dumps(measured, indent=1))


if __name__ == "__main__":
    main()
