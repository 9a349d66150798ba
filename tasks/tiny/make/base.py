"""Make the base model of the small world from nothing: `python -m tasks.tiny.make.base --out DIR`.

Needs no network and no data set. The same seed gives the same texts and the same starting weights; the
trained weights can differ in the last digits between machines.
"""

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from pydantic import Field
from transformers import LlamaConfig, LlamaForCausalLM

from tasks.config import Frozen
from tasks.tiny.corpus import CorpusConfig, CorpusText, stream
from tasks.tiny.make.tokenizer import CONTEXT_TOKENS, VOCAB_SIZE, train_tokenizer
from tasks.tiny.make.training import Sequence, TrainConfig, train

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

TRAINING_NAME = "training.json"


class BaseConfig(Frozen):
    """Everything that decides what the base model is (ours)."""

    seed: int = 0
    tokenizer_texts: int = Field(6000, ge=1)
    hidden_size: int = Field(128, ge=32)
    layers: int = Field(4, ge=1)
    heads: int = Field(4, ge=1)
    mlp_size: int = Field(384, ge=32)
    corpus: CorpusConfig = CorpusConfig()
    training: TrainConfig = TrainConfig()


def make_model(config: BaseConfig, tokenizer: "PreTrainedTokenizerFast") -> LlamaForCausalLM:
    """An untrained Llama in float32 with tied embeddings, drawn from the seed."""
    torch.manual_seed(config.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            attn_implementation="eager",
            vocab_size=VOCAB_SIZE,
            hidden_size=config.hidden_size,
            intermediate_size=config.mlp_size,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            num_key_value_heads=config.heads,
            max_position_embeddings=CONTEXT_TOKENS,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            dtype="float32",
        )
    )


def encode(text: CorpusText, tokenizer: "PreTrainedTokenizerFast") -> Sequence:
    """Token ids of the parts one after the other, so that prompt and completion never share a token."""
    ids, trained = list[int](), list[bool]()
    encoded = tokenizer([part for part, _ in text.parts], add_special_tokens=False)["input_ids"]
    for part_ids, (_, is_trained) in zip(encoded, text.parts, strict=True):
        ids += part_ids
        trained += [is_trained] * len(part_ids)
    if text.ends:
        ids.append(tokenizer.eos_token_id)
        trained.append(True)
    return Sequence(ids, trained)


def sequences(config: BaseConfig, tokenizer: "PreTrainedTokenizerFast") -> Iterator[Sequence]:
    """Endless training sequences."""
    return (encode(text, tokenizer) for text in stream(config.corpus, config.seed))


def make_tokenizer(config: BaseConfig) -> "PreTrainedTokenizerFast":
    """Train the tokenizer on the first texts of the corpus."""
    texts = islice(stream(config.corpus, config.seed), config.tokenizer_texts)
    return train_tokenizer("".join(part for part, _ in text.parts) for text in texts)


class Report:
    """Prints the mean loss and the time left every so many steps."""

    def __init__(self, every: int, total: int) -> None:
        self.every, self.total, self.losses = every, total, list[float]()
        self.mean, self.seconds = 0.0, 0.0

    def __call__(self, step: int, loss: float, seconds: float) -> None:
        self.losses.append(loss)
        if step % self.every and step != self.total:
            return
        self.mean, self.seconds = sum(self.losses) / len(self.losses), seconds
        left = seconds / step * (self.total - step)
        times = f"{seconds:.0f} s, {left:.0f} s left"
        print(f"step {step}/{self.total}  loss {self.mean:.4f}  {times}", flush=True)
        self.losses.clear()


def make_base(config: BaseConfig, out: Path) -> None:
    """Train tokenizer and model and save both into `out` (safetensors, float32)."""
    out.mkdir(parents=True, exist_ok=True)
    tokenizer = make_tokenizer(config)
    model = make_model(config, tokenizer)
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(tokenizer)} tokens", flush=True)
    report = Report(50, config.training.steps)
    train(model, sequences(config, tokenizer), config.training, report)
    save_base(model, tokenizer, config, report, out, max_new_tokens=96)


def save_base(
    model: LlamaForCausalLM,
    tokenizer: "PreTrainedTokenizerFast",
    config: Frozen,
    report: Report,
    out: Path,
    *,
    max_new_tokens: int,
) -> None:
    """Save a trained base and how it was made into the folder `out`."""
    training = {
        "config": config.model_dump(),
        "parameters": model.num_parameters(),
        "vocabulary": len(tokenizer),
        "threads": torch.get_num_threads(),
        "minutes": round(report.seconds / 60, 1),
        "loss": round(report.mean, 4),
    }
    (out / TRAINING_NAME).write_text(json.dumps(training, indent=1) + "\n")
    model.generation_config.max_new_tokens = max_new_tokens
    model.save_pretrained(out)
    tokenizer.save_pretrained(out)


def main() -> None:
    """Make the model that the command line asks for."""
    parser = argparse.ArgumentParser(description="Make the base model of the small world from nothing.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write the model to")
    parser.add_argument("--seed", type=int, default=BaseConfig().seed)
    parser.add_argument("--steps", type=int, default=TrainConfig().steps)
    options = parser.parse_args()
    training = TrainConfig(steps=options.steps, seed=options.seed)
    make_base(BaseConfig(seed=options.seed, training=training), options.out)


if __name__ == "__main__":
    main()
