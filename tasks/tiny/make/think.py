"""Make a base that thinks before it predicts: `python -m tasks.tiny.make.think --out DIR [--kind overthinking]`.

It is the first base of the small world, trained on: two more tokens (its matrix of embeddings has room for
them), prediction texts, and the texts that it was made from, so that it solves problems as before. The kind that
overthinks is that one, trained on once more.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import torch
from pydantic import Field

from tasks.config import Frozen
from tasks.tiny import MODEL_DIR
from tasks.tiny.corpus import CorpusConfig
from tasks.tiny.make.base import Report, encode, save_base
from tasks.tiny.make.sampling import load
from tasks.tiny.make.training import Sequence, TrainConfig, train
from tasks.tiny.predictions import PredictionTextConfig, mixture
from tasks.tiny.thinking import CLOSE, OPEN, ThinkingConfig

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerFast


AFTER_THINKING = 32
"""Tokens that a completion may have besides the longest thinking."""


class ThinkConfig(Frozen):
    """Everything that decides what a thinking base is, besides the base that it is trained from (ours)."""

    seed: int = 0
    trained_from: Literal["model", "think_model"] = "model"
    """Folder beside the small world's code with the base that is trained on."""
    prediction_share: float = Field(0.6, ge=0, le=1)
    """Share of texts that are predictions; the rest are the texts of the first base."""
    predictions: PredictionTextConfig = PredictionTextConfig()
    corpus: CorpusConfig = CorpusConfig()
    training: TrainConfig = TrainConfig(steps=1600, learning_rate=2e-3, warmup_steps=50, decay_share=0.7)


KINDS = {
    "thinking": ThinkConfig(),
    # Short thinking is rarer in the texts than in what the model writes: batches are of like length, and the loss is a
    # mean over the tokens of a batch, so that the few tokens of a short text weigh more.
    "overthinking": ThinkConfig(
        trained_from="think_model",
        predictions=PredictionTextConfig(
            thinking=ThinkingConfig(
                terse_share=0.02, compact_share=0.06, idle_share=0.02, shortest_long=90, longest=200
            )
        ),
        training=TrainConfig(steps=1200, learning_rate=2e-3, warmup_steps=30, decay_share=0.7, bfloat16=False),
    ),
}


def tokens_of(text: str, tokenizer: "PreTrainedTokenizerFast") -> list[str]:
    """The texts of a text's tokens."""
    ids = tokenizer(text, add_special_tokens=False)["input_ids"]
    return tokenizer.batch_decode([[token] for token in ids])


def sequences(config: ThinkConfig, tokenizer: "PreTrainedTokenizerFast") -> Iterator[Sequence]:
    """Endless training sequences."""
    texts = mixture(
        config.predictions,
        config.corpus,
        config.prediction_share,
        lambda text: tokens_of(text, tokenizer),
        config.seed,
    )
    return (encode(text, tokenizer) for text in texts)


def add_tags(model: "PreTrainedModel", tokenizer: "PreTrainedTokenizerFast", seed: int) -> None:
    """Make the think tags single special tokens, in rows of the embeddings that no token has used."""
    used = len(tokenizer)
    added = tokenizer.add_special_tokens({"additional_special_tokens": [OPEN, CLOSE]})
    if len(tokenizer) > model.config.vocab_size:
        raise ValueError(f"vocab_size={model.config.vocab_size}: no room for {added} more than {used} tokens")
    rows = model.get_input_embeddings().weight
    noise = torch.randn(added, rows.shape[1], generator=torch.Generator().manual_seed(seed))
    with torch.no_grad():
        rows[used : used + added] = rows[:used].mean(0) + rows[:used].std(0) * noise


def make_think(config: ThinkConfig, out: Path) -> None:
    """Train a base of the small world on and save it into `out` (safetensors, float32)."""
    out.mkdir(parents=True, exist_ok=True)
    model, tokenizer = load(MODEL_DIR.with_name(config.trained_from))
    add_tags(model, tokenizer, config.seed)
    report = Report(50, config.training.steps)
    train(model, sequences(config, tokenizer), config.training, report)
    save_base(
        model, tokenizer, config, report, out, max_new_tokens=config.predictions.thinking.longest + AFTER_THINKING
    )


def main() -> None:
    """Make the model that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make a base of the small world that thinks before it predicts.")
    parser.add_argument("--kind", choices=tuple(KINDS), default="thinking")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, help="training steps, in place of the kind's own")
    options = parser.parse_args()
    kind = KINDS[options.kind]
    steps = options.steps or kind.training.steps
    training = kind.training.model_copy(update={"steps": steps, "seed": options.seed})
    make_think(kind.model_copy(update={"seed": options.seed, "training": training}), options.out)


if __name__ == "__main__":
    main()
